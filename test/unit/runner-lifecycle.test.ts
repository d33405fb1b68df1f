import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { build } from 'esbuild';
import { FrameType } from '../../src/protocol/frame.ts';
import { profileText } from '../../sandbox/runner/profile.ts';
import { Stacks } from '../../sandbox/runner/stacks.ts';
import { removeImage, startRunner } from './runner-rig.ts';

after(removeImage);

test('UserCtx starts before the first request, is what requests see, and ends before the isolate does', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    exports.UserCtx = class {
      value = 0;
      async onStart() { await new Promise((r) => setTimeout(r, 5)); this.value = 1; tools.logger.info('started'); }
      async onShutdown() { await new Promise((r) => setTimeout(r, 5)); tools.logger.info('stopped with %d', this.value); }
    };
    exports.main = (request) => ++request.userCtx.value;`);
  assert.equal((await runner.invoke(isolate)).json, 2);
  assert.equal((await runner.invoke(isolate)).json, 3);
  runner.send(FrameType.unload, isolate, 0, 0, { reason: 'disable', graceMs: 1_000 });
  const unloaded = await runner.next('unloaded');
  assert.deepEqual(unloaded.head, {});
  assert.deepEqual(
    runner.lines(isolate).map(({ message }) => message),
    ['started', 'stopped with 3'],
  );
});

test('unload lets what is in flight finish, cuts off what takes longer than the grace time, and bounds onShutdown', async (t) => {
  const runner = await startRunner(t);
  const module = `
    exports.UserCtx = class { onShutdown() { return new Promise(() => {}); } };
    exports.main = (request) => new Promise((r) => { if (request.text() !== 'never') setTimeout(() => r('done'), 50); });`;
  const isolate = await runner.load(module, { limits: { shutdown_ms: 50 } });
  const finishes = runner.startInvoke(isolate);
  const never = runner.startInvoke(isolate, { body: 'never' });
  runner.send(FrameType.unload, isolate, 0, 0, { reason: 'update', graceMs: 300 });
  assert.equal((await runner.result(finishes)).json, 'done');
  assert.equal((await runner.result(never)).kind, 'draining');
  const unloaded = await runner.next('unloaded');
  assert.match(unloaded.head.error!, /shutdown_ms \(50 ms\)/);
});

test('an onShutdown that throws is told with unloaded', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.UserCtx = class { onShutdown() { throw new TypeError('not now'); } }; exports.main = () => 1;`,
  );
  runner.send(FrameType.unload, isolate, 0, 0, { reason: 'delete', graceMs: 10 });
  assert.equal((await runner.next('unloaded')).head.error, 'TypeError: not now');
});

test('a lambda that cannot start says why', async (t) => {
  const runner = await startRunner(t);
  const limits = { startup_ms: 200, memory_mb: 32 };
  const fails = (module: string, more: object = {}) =>
    runner.loadFails(module, { limits: { ...limits, ...more } });
  const thrown = await fails(`throw new RangeError('at the top');`);
  assert.deepEqual([thrown.kind, thrown.type, thrown.detail], ['start_failed', 'RangeError', 'at the top']);
  assert.match(thrown.stack!, /lambda\.js:\d+:\d+/);
  const onStart = await fails(
    `exports.UserCtx = class { async onStart() { throw new Error('no database'); } }; exports.main = () => 1;`,
  );
  assert.deepEqual([onStart.kind, onStart.detail], ['start_failed', 'no database']);
  assert.match((await fails(`exports.other = 1;`)).detail, /exports no function "main"/);
  assert.equal((await fails(`this is no JavaScript`)).kind, 'start_failed');
  const loops = await fails(`while (true);`);
  assert.deepEqual([loops.kind, /startup_ms \(200 ms\)/.test(loops.detail)], ['cpu_limit', true]);
  const waits = await fails(
    `exports.UserCtx = class { onStart() { return new Promise(() => {}); } }; exports.main = () => 1;`,
  );
  assert.deepEqual([waits.kind, /startup_ms/.test(waits.detail)], ['timeout', true]);
  const good = await runner.load('exports.main = () => 1;', { limits });
  assert.equal((await runner.invoke(good)).json, 1);
});

test(
  'what a lambda computes while it starts is not held against its first calls',
  { timeout: 20_000 },
  async (t) => {
    const runner = await startRunner(t);
    const compute = 'const end = Date.now() + 300; while (Date.now() < end);';
    for (const module of [
      `${compute} exports.main = () => 1;`,
      `exports.UserCtx = class { async onStart() { await null; ${compute} } }; exports.main = () => 1;`,
      `exports.UserCtx = class { async onStart() { await new Promise((r) => setTimeout(r, 5)); ${compute} } }; exports.main = () => 1;`,
    ]) {
      const isolate = await runner.load(module, { limits: { cpu_ms: 100 } });
      assert.equal((await runner.invoke(isolate)).json, 1);
    }
  },
);

test('a module that allocates without end is told so', async (t) => {
  const runner = await startRunner(t);
  const failed = await runner.loadFails(`const a = []; for (;;) a.push(new Array(1000).fill(a.length));`, {
    limits: { memory_mb: 32 },
  });
  assert.equal(failed.kind, 'memory_limit');
});

test('invocations that come while the lambda starts are run when it has', async (t) => {
  const runner = await startRunner(t);
  const isolate = runner.startLoad(
    `(function(m){ "use strict"; let ready = false; return { UserCtx: class { async onStart() { await new Promise((r) => setTimeout(r, 30)); ready = true; } }, main: () => ready }; })`,
  );
  assert.equal((await runner.invoke(isolate)).json, true);
});

test('loaded tells the routes and the queue', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    exports.QUEUE_NAME = 'the-queue';
    class Handler extends tools.LambdaUserHandler { static route = '/a/<id:int>'; async get(id) { return id; } async delete(id) {} }
    exports.ROUTES_TO_ADD = [Handler];
    exports.main = () => 1;`);
  const loaded = runner.received.find((message) => message.name === 'loaded' && message.isolate === isolate);
  assert.ok(loaded?.name === 'loaded');
  const { routes, queueName, ms } = loaded.head as { routes: unknown; queueName?: string; ms: number };
  assert.deepEqual(
    [routes, queueName],
    [[{ route: '/a/<id:int>', methods: ['GET', 'DELETE'] }], 'the-queue'],
  );
  assert.ok(ms > 0);
});

test('a new user configuration is seen by the next request, and can’t be changed by it', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = (request) => { try { request.config.userConfig.a = 9; } catch (error) { return [request.config.userConfig.a, error.name]; } };`,
    { userConfig: { a: 1 } },
  );
  assert.deepEqual((await runner.invoke(isolate)).json, [1, 'TypeError']);
  runner.send(FrameType.configure, isolate, 0, 0, {
    userConfig: { a: 2, password: 'secret', deep: { api_key: 'k', url: 'amqp://u:p@h' } },
  });
  assert.deepEqual((await runner.invoke(isolate)).json, [2, 'TypeError']);
  const shown = await runner.invoke(isolate, { method: 'GET', path: '/config' });
  assert.deepEqual(shown.json, {
    a: 2,
    password: '[masked]',
    deep: { api_key: '[masked]', url: 'amqp://u:[masked]@h' },
  });
});

test('a ping is answered with heap and CPU of each isolate, also while one loops', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load('exports.main = (request) => { while (request.text() === "loop"); };', {
    limits: { cpu_ms: 2_000 },
  });
  const ping = async (id: number) => {
    runner.send(FrameType.ping, 0, id, 0, '');
    const pong = await runner.next('pong', (message) => message.id === id);
    return pong.head.isolates;
  };
  await runner.invoke(isolate);
  await ping(1);
  await runner.invoke(isolate);
  runner.startInvoke(isolate, { body: 'loop' });
  const [stats, ...others] = await ping(2);
  assert.deepEqual([stats!.isolate, stats!.inFlight, others], [isolate, 1, []]);
  assert.ok(stats!.heapBytes > 100_000, `${stats!.heapBytes} bytes of heap`);
});

test('stacks have the tenant’s own files and lines; the reply has one where the lambda asks for it', async (t) => {
  const runner = await startRunner(t);
  const source = [
    '// a comment',
    'function deep(): never {',
    '  throw new Error("here");',
    '}',
    'export const main = async (): Promise<never> => deep();',
  ].join('\n');
  const built = await build({
    stdin: { contents: source, sourcefile: 'lambda_main.ts', loader: 'ts' },
    bundle: true,
    format: 'iife',
    globalName: '__exports',
    sourcemap: 'external',
    outfile: 'lambda.js',
    write: false,
    banner: { js: '(function(__isolambda){\n"use strict";' },
    footer: { js: 'return __exports;\n})' },
  });
  const [map, code] = [
    built.outputFiles.find(({ path }) => path.endsWith('.map'))!,
    built.outputFiles.find(({ path }) => path.endsWith('.js'))!,
  ];
  const start = async (debugErrors: boolean): Promise<number> => {
    const isolate = runner.startLoad(code.text, { debugErrors, map: JSON.parse(map.text) as object });
    await runner.next('loaded', (message) => message.isolate === isolate);
    return isolate;
  };
  const shown = await runner.invoke(await start(true));
  assert.match(
    shown.stack!,
    /^Error: here\n\s+at deep \(lambda_main\.ts:3:9\)\n\s+at main \(lambda_main\.ts:5:49\)/,
  );
  assert.doesNotMatch(shown.stack!, /isolambda|lambda\.js|isolated-vm/);
  const quiet = await start(false);
  const hidden = await runner.invoke(quiet, { requestId: 'the-request' });
  assert.deepEqual([hidden.kind, hidden.stack], ['exception', undefined]);
  const line = runner.lines(quiet).at(-1)!;
  assert.deepEqual([line.level, line.requestId], ['error', 'the-request']);
  assert.match(line.message, /lambda_main\.ts:3:9/);
});

test('a profile comes with unloaded, in the tenant’s own positions', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    'function busy() { const end = Date.now() + 60; let n = 0; while (Date.now() < end) n++; return n; } exports.main = () => busy() > 0;',
    { profile: true },
  );
  for (let i = 0; i < 2; i++) assert.equal((await runner.invoke(isolate)).json, true);
  runner.send(FrameType.unload, isolate, 0, 0, { reason: 'shutdown', graceMs: 100 });
  const { body } = await runner.next('unloaded');
  const profile = JSON.parse(body.toString()) as {
    nodes: { id: number; children: number[]; callFrame: { functionName: string } }[];
    samples: number[];
    timeDeltas: number[];
  };
  const busy = new Set(
    profile.nodes.filter(({ callFrame }) => callFrame.functionName === 'busy').map(({ id }) => id),
  );
  assert.ok(profile.samples.filter((id) => busy.has(id)).length > 10, 'both entries were sampled');
  assert.equal(profile.samples.length, profile.timeDeltas.length);
  const ids = new Set(profile.nodes.map(({ id }) => id));
  assert.equal(ids.size, profile.nodes.length, 'ids are unique');
  for (const { children } of profile.nodes) for (const child of children) assert.ok(ids.has(child));
});

test('a profile that is too long for its frame keeps every second sample, and all of the time', () => {
  const callFrame = { functionName: 'f', scriptId: '1', url: '', lineNumber: 0, columnNumber: 0 };
  const profile = {
    nodes: [{ id: 1, callFrame }],
    startTime: 0,
    endTime: 10_000,
    samples: Array.from({ length: 1_000 }, () => 1),
    timeDeltas: Array.from({ length: 1_000 }, () => 10),
  };
  const whole = profileText(profile, new Stacks(Buffer.alloc(0)), 100_000);
  assert.deepEqual(JSON.parse(whole), { ...profile, nodes: [{ id: 1, callFrame, children: [] }] });
  const text = profileText(profile, new Stacks(Buffer.alloc(0)), whole.length / 3);
  assert.ok(text.length <= whole.length / 3);
  const { samples, timeDeltas } = JSON.parse(text) as typeof profile;
  assert.deepEqual([samples.length, timeDeltas.length], [250, 250]);
  assert.equal(
    timeDeltas.reduce((sum, delta) => sum + delta, 0),
    10_000,
  );
});

test('a host with another protocol is refused', async (t) => {
  const runner = await startRunner(t, 99);
  const { code } = await runner.exited();
  assert.equal(code, 64);
});
