/** `isolambda run` as a user starts it: a process, a jailed runner, a real broker. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL, fileURLToPath } from 'node:url';
import AdmZip from 'adm-zip';
import { brokerUrl } from '../broker.ts';
import { runCli, tempFolder } from '../cli-process.ts';
import { client, newQueueName } from '../integration/amqp-serving.ts';
import { startRun } from '../run-process.ts';

/** Says which export of which file answered. */
const named = (name: string, handler = 'lambda_handler'): string =>
  `export function ${handler}(event: unknown) {\n  return { from: '${name}', event };\n}\n`;

describe('isolambda run: which lambda, which queue', { concurrency: 3 }, () => {
  test('without a module it echoes, bytes and JSON', async (t) => {
    const { url, queue } = await startRun(t);
    const rpc = client(t, url);
    assert.deepEqual(await rpc.call(queue, Buffer.from([0, 255, 7])), Buffer.from([0, 255, 7]));
    for (const value of [{ a: [1, 'ü', null] }, 'text', 3.5, true, null, []])
      assert.deepEqual(await rpc.call(queue, value), value);
  });

  test('without a module and without a queue it serves echo-processor', async (t) => {
    const run = await startRun(t, { queue: null });
    assert.equal(run.queue, 'echo-processor');
    assert.deepEqual(await run.stop(), { code: 0, signal: null });
  });

  test('a module file, by its path or as a dotted name, and what it imports beside it', async (t) => {
    const cwd = tempFolder(t, {
      'texts/upper.ts':
        "import { loud } from './parts/loud.ts';\nexport const lambda_handler = (event: string) => loud(event);\n",
      'texts/parts/loud.ts': 'export const loud = (text: string): string => text.toUpperCase();\n',
    });
    for (const module of ['texts/upper.ts', 'texts.upper']) {
      const { url, queue, ...run } = await startRun(t, { cwd, args: [module] });
      assert.equal(await client(t, url).call(queue, 'abc'), 'ABC', module);
      assert.equal((await run.stop()).code, 0);
    }
  });

  test('a folder and a zip with lambda_main; <module>:<handler> chooses the export', async (t) => {
    const source = named('main') + named('other', 'other_handler');
    const cwd = tempFolder(t, { 'folder/lambda_main.ts': source });
    const zip = new AdmZip();
    zip.addFile('lambda_main.ts', Buffer.from(source));
    zip.writeZip(join(cwd, 'packed.zip'));
    for (const [module, from] of [
      ['folder', 'main'],
      ['packed.zip:other_handler', 'other'],
    ] as const) {
      const { url, queue, ...run } = await startRun(t, { cwd, args: [module] });
      assert.deepEqual(await client(t, url).call(queue, 1), { from, event: 1 }, module);
      await run.stop();
    }
  });

  test('-q wins over the QUEUE_NAME of the module', async (t) => {
    const [own, given] = [newQueueName(), newQueueName()];
    const cwd = tempFolder(t, { 'named.ts': `export const QUEUE_NAME = '${own}';\n${named('named')}` });
    const byModule = await startRun(t, { cwd, args: ['named.ts'], queue: null });
    assert.equal(byModule.queue, own);
    const byOption = await startRun(t, { cwd, args: ['named.ts'], queue: given });
    assert.equal(byOption.queue, given);
    assert.deepEqual(await client(t, byOption.url).call(given, 1), { from: 'named', event: 1 });
  });

  test('a missing module, a missing handler and a broken module end it with a clear line and a code', async (t) => {
    const cwd = tempFolder(t, {
      'there.ts': named('there'),
      'broken.ts': 'export function lambda_handler( {\n',
      'throws.ts': "throw new Error('at the start');\nexport function lambda_handler() {}\n",
    });
    const url = await brokerUrl();
    const ends = async (module: string): Promise<{ code: number | null; stderr: string }> => {
      const { code, stderr, stdout } = await runCli(['run', module, '-u', url, '-q', newQueueName()], {
        cwd,
      });
      assert.doesNotMatch(stdout, /serving/);
      assert.doesNotMatch(stderr, /^\s+at .*src\//m, 'no stack of the runtime');
      return { code, stderr };
    };
    const missing = await ends('absent.ts');
    assert.match(missing.stderr, /error: there is no module absent\.ts/);
    assert.equal(missing.code, 4);
    const handler = await ends('there.ts:absent');
    assert.match(handler.stderr, /absent/);
    assert.notEqual(handler.code, 0);
    const broken = await ends('broken.ts');
    assert.match(broken.stderr, /broken\.ts:\d+:\d+ error syntax/);
    assert.notEqual(broken.code, 0);
    const throws = await ends('throws.ts');
    assert.match(throws.stderr, /at the start/);
    assert.notEqual(throws.code, 0);
  });

  test('a broker that is not there ends it after connection_attempts, the password masked', async () => {
    const { code, stdout, stderr } = await runCli([
      'run',
      '-u',
      'amqp://someone:hunter2@127.0.0.1:1?connection_attempts=2&retry_delay=0.01',
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /amqp:\/\/someone:\*\*\*\*@127\.0\.0\.1:1.*2 failed attempts/);
    assert.doesNotMatch(stdout + stderr, /hunter2/);
  });

  test('the password of a broker that is there is masked in the log', async (t) => {
    const run = await startRun(t);
    const { password } = new URL(run.url);
    assert.notEqual(password, '');
    await run.stop();
    assert.match(run.log(), /broker connected/);
    assert.doesNotMatch(run.log() + run.out(), new RegExp(`:${password}@`));
  });

  test('launch() in the main block of a module serves that module', async (t) => {
    const cwd = tempFolder(t, {
      'package.json': '{"type":"module","dependencies":{"isolambda":"*","tiny":"*"}}',
      'self.ts': `import { launch } from 'isolambda';
import { tiny } from 'tiny';
export const QUEUE_NAME = '${newQueueName()}';
export function lambda_handler(event: number) {
  return { sum: tiny(event) };
}
if (import.meta.main) await launch();
`,
      'node_modules/tiny/package.json': '{"name":"tiny","type":"module","exports":"./index.js"}',
      'node_modules/tiny/index.js': 'export const tiny = (n) => n + 1;\n',
    });
    // The package as npm would lay it there, but for the build: its entry leads to the source.
    const source = pathToFileURL(fileURLToPath(new URL('../../src/index.ts', import.meta.url))).href;
    mkdirSync(join(cwd, 'node_modules/isolambda'));
    writeFileSync(
      join(cwd, 'node_modules/isolambda/package.json'),
      '{"name":"isolambda","type":"module","exports":"./index.js","dependencies":{"native":"*"}}',
    );
    writeFileSync(join(cwd, 'node_modules/isolambda/index.js'), `export * from '${source}';\n`);
    mkdirSync(join(cwd, 'node_modules/native'));
    // What only the runtime needs is not packed: this file alone would break the limit of an archive.
    writeFileSync(join(cwd, 'node_modules/native/native.node'), Buffer.alloc(128 * 1024 * 1024));
    const run = await startRun(t, { cwd, script: 'self.ts', queue: null });
    assert.deepEqual(await client(t, run.url).call(run.queue, 1), { sum: 2 });
    assert.deepEqual(await run.stop(), { code: 0, signal: null });
  });
});
