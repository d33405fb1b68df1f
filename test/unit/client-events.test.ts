import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { build } from 'esbuild';
import { LambdaApi } from '../../src/client/index.ts';
import { serverEvents } from '../../src/client/events.ts';
import { serve } from './client-server.ts';

const bytes = (text: string, size: number): Uint8Array[] => {
  const whole = new TextEncoder().encode(text);
  return Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
    whole.subarray(index * size, (index + 1) * size),
  );
};

async function dataOf(text: string, size: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const { event, data } of serverEvents(ReadableStream.from(bytes(text, size))))
    seen.push(`${event} ${data}`);
  return seen;
}

test('events are read whole, however they are cut', async () => {
  const text =
    ': comment\n\nid: 1\ndata: {"a":"\u00e9"}\n\nevent: x\ndata:no space\n\ndata: two\ndata: lines\n\n\nid: 9\n\ndata: unfinished';
  for (const size of [1, 2, 3, 7, 1_000])
    assert.deepEqual(
      await dataOf(text, size),
      ['message {"a":"\u00e9"}', 'x no space', 'message two\nlines'],
      `in ${size}s`,
    );
});

test('lines may end in CR LF', async () => {
  for (const size of [1, 4, 1_000])
    assert.deepEqual(
      await dataOf('data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n', size),
      ['message a\nb', 'message c'],
      `in ${size}s`,
    );
});

test('a follower that leaves closes its connection', async (t) => {
  const left = Promise.withResolvers<void>();
  const { origin } = await serve(t, (_asked, response) => {
    response.once('close', left.resolve);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('id: 1\ndata: {"message":"first"}\n\n');
  });
  for await (const { message } of new LambdaApi({ origin }).followLogs({ lambdaId: 'x' })) {
    assert.equal(message, 'first');
    break;
  }
  await left.promise;
});

test('a notice that lines were missed is no line', async (t) => {
  const { origin } = await serve(t, (_asked, response) => {
    response.end('event: missed\ndata: {"lines":3}\n\nid: 7\ndata: {"message":"after"}\n\n');
  });
  const seen: unknown[] = [];
  for await (const record of new LambdaApi({ origin }).followLogs({ lambdaId: 'x' })) seen.push(record);
  assert.deepEqual(seen, [{ message: 'after' }]);
});

test('the client needs nothing of Node: it bundles for a browser', async () => {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: 'export { LambdaApi } from "./src/client/lambda-api.ts"',
      resolveDir: new URL('../..', import.meta.url).pathname,
    },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    logLevel: 'silent',
  });
  assert.ok(
    Object.keys(metafile.inputs).every((path) => path.startsWith('src/client/') || path === '<stdin>'),
  );
  assert.ok(outputFiles[0]!.contents.length < 30_000, 'small enough to load');
});
