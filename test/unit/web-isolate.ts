/**
 * Runs functions of a test inside a real isolate with the web APIs, and compares with what Node's own do. A
 * function is carried over by its source, so it may use its argument and globals only.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { after } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { ChildReply, ChildRequest } from './web-isolate-child.ts';

export interface WebIsolate {
  /** The JSON of what `work` gives inside the isolate. `fresh` makes a new isolate first, with nothing touched yet. */
  run<A, R>(
    work: (argument: A, installBytes: number) => R,
    argument: A,
    fresh?: boolean,
  ): Promise<Awaited<R>>;
  /** Fails unless `work` gives the same in the isolate as in Node. Gives the number of elements compared. */
  same<A, R>(work: (argument: A) => R, argument: A): Promise<number>;
}

/** Starts the child and registers its end; call it once, at the top of a test file. */
export async function startWebIsolate(): Promise<WebIsolate> {
  const child = fork(fileURLToPath(new URL('./web-isolate-child.ts', import.meta.url)), {
    execArgv: ['--no-node-snapshot', '--expose-gc'],
  });
  after(() => child.kill());
  const waiting = new Map<number, (reply: ChildReply) => void>();
  const reply = (id: number): Promise<ChildReply> => new Promise((resolve) => waiting.set(id, resolve));
  child.on('message', (message: ChildReply) => {
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  });
  child.once('exit', (code) => {
    for (const [id, resolve] of waiting)
      resolve({ id, error: `the isolate's process ended with code ${code}` });
    waiting.clear();
  });
  const ready = await reply(0);
  if ('error' in ready) throw new Error(ready.error);
  let lastId = 0;

  async function run<A, R>(
    work: (argument: A, installBytes: number) => R,
    argument: A,
    fresh = false,
  ): Promise<Awaited<R>> {
    const id = ++lastId;
    const answered = reply(id);
    const request: ChildRequest = { id, source: work.toString(), argument: JSON.stringify(argument), fresh };
    child.send(request);
    const got = await answered;
    if ('error' in got) throw new Error(`in the isolate: ${got.error}`);
    return (JSON.parse(got.result) as { value: Awaited<R> }).value;
  }

  async function same<A, R>(work: (argument: A) => R, argument: A): Promise<number> {
    const [actual, native] = await Promise.all([run(work, argument), work(argument)]);
    const expected = JSON.parse(JSON.stringify({ value: native })) as { value: unknown };
    if (Array.isArray(actual) && Array.isArray(expected.value) && Array.isArray(argument)) {
      // Only what differs, a line each: a diff of hundreds of rows helps nobody.
      const differing: string[] = [];
      actual.forEach((value: unknown, i) => {
        const [isolated, node] = [JSON.stringify(value), JSON.stringify((expected.value as unknown[])[i])];
        if (!isDeepStrictEqual(value, (expected.value as unknown[])[i])) {
          differing.push(`${JSON.stringify(argument[i])}\n  isolate ${isolated}\n  node    ${node}`);
        }
      });
      if (differing.length > 0) {
        assert.fail(`${differing.length} of ${actual.length} differ from Node:\n${differing.join('\n')}`);
      }
      assert.equal(actual.length, expected.value.length);
      return actual.length;
    }
    assert.deepEqual(actual, expected.value);
    return 1;
  }

  return { run, same };
}
