import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { removeImage, startRunner } from './runner-rig.ts';

after(removeImage);

/** A module whose body names what it does. */
const MISDEEDS = `
  const deeds = {
    echo: () => 'ok',
    loop: () => { while (true); },
    loopAfterAwait: async () => { await null; while (true); },
    awaitLoop: async () => { while (true) await null; },
    recursivePromise: () => { const again = () => Promise.resolve().then(again); again(); return new Promise(() => {}); },
    timerLoop: async () => { for (;;) { await new Promise((r) => setTimeout(r, 0)); const end = Date.now() + 5; while (Date.now() < end); } },
    detachedTimers: () => { setInterval(() => { const end = Date.now() + 5; while (Date.now() < end); }, 1); return 'left'; },
    regex: () => /^(a+)+$/.test('a'.repeat(40) + 'b'),
    memory: () => { const all = []; for (;;) all.push(new Array(10000).fill(all.length)); },
    strings: () => { const all = []; for (let i = 0;; i++) all.push('x'.repeat(1e6) + i); },
    never: () => new Promise(() => {}),
    wait: () => new Promise((r) => { setTimeout(() => r('waited'), 400); }),
    signal: (request) => new Promise((r) => request.signal.addEventListener('abort', () => { console.log('aborted: ' + request.signal.reason.name); })),
  };
  exports.main = (request) => deeds[request.json](request);`;
const deed = (name: string, more: object = {}) => ({ body: JSON.stringify(name), ...more });
const LIMITS = { cpu_ms: 100, memory_mb: 32 };

for (const name of ['loop', 'loopAfterAwait', 'awaitLoop', 'recursivePromise', 'timerLoop', 'regex']) {
  test(`${name} ends with cpu_limit, and its isolate is gone`, async (t) => {
    const runner = await startRunner(t);
    const isolate = await runner.load(MISDEEDS, { limits: LIMITS });
    const answer = await runner.invoke(isolate, deed(name));
    assert.equal(answer.kind, 'cpu_limit');
    assert.match(answer.detail, /cpu_ms is 100/);
    assert.ok(answer.cpuUs >= 100_000, `${answer.cpuUs} us charged`);
    const gone = await runner.next('isolateGone');
    assert.deepEqual(gone.head.notEntered, []);
    const fresh = await runner.load(MISDEEDS, { limits: LIMITS });
    assert.equal((await runner.invoke(fresh, deed('echo'))).json, 'ok');
  });
}

for (const name of ['memory', 'strings']) {
  test(`${name} without end is memory_limit`, async (t) => {
    const runner = await startRunner(t);
    const isolate = await runner.load(MISDEEDS, { limits: { ...LIMITS, cpu_ms: 5_000 } });
    const answer = await runner.invoke(isolate, deed(name));
    assert.equal(answer.kind, 'memory_limit');
    assert.equal((await runner.next('isolateGone')).head.reason, 'memory_limit');
  });
}

test('timers that outlive their request have a budget of their own', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(MISDEEDS, { limits: LIMITS });
  assert.equal((await runner.invoke(isolate, deed('detachedTimers'))).json, 'left');
  const gone = await runner.next('isolateGone');
  assert.equal(gone.head.reason, 'cpu_limit');
  assert.match(gone.head.detail, /outside of requests/);
});

test('a loop costs the culprit its limit, those who share the isolate a retry, and those who wait nothing', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(MISDEEDS, { limits: LIMITS });
  await runner.invoke(isolate, deed('echo'));
  const sharing = runner.startInvoke(isolate, deed('never'));
  const culprit = runner.startInvoke(isolate, deed('loop'));
  const others = [runner.startInvoke(isolate, deed('echo')), runner.startInvoke(isolate, deed('echo'))];
  assert.equal((await runner.result(culprit)).kind, 'cpu_limit');
  const lost = await runner.result(sharing);
  assert.equal(lost.kind, 'isolate_lost');
  assert.ok('retryAfterMs' in lost.head && lost.head.retryAfterMs! > 0);
  const gone = await runner.next('isolateGone');
  const answered = new Set(runner.received.filter(({ name }) => name === 'result').map(({ id }) => id));
  for (const id of others) {
    assert.notEqual(
      gone.head.notEntered.includes(id),
      answered.has(id),
      'each is answered or given back, not both',
    );
  }
});

test('in a batch the culprit is known where it loops before its first await', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(MISDEEDS, { limits: LIMITS });
  for (let i = 0; i < 5; i++) await runner.invoke(isolate, deed('echo'));
  let culprit = 0;
  const ids: number[] = [];
  runner.together(() => {
    ids.push(runner.startInvoke(isolate, deed('never')), runner.startInvoke(isolate, deed('never')));
    culprit = runner.startInvoke(isolate, deed('loop'));
  });
  assert.equal((await runner.result(culprit)).kind, 'cpu_limit');
  for (const id of ids) assert.equal((await runner.result(id)).kind, 'isolate_lost');
});

test('where no culprit could be named, the next isolate of the lambda takes one invocation at a time, and names it', async (t) => {
  const runner = await startRunner(t);
  const load = () => runner.load(MISDEEDS, { limits: LIMITS, lambdaId: 'the-suspect' });
  const batch = (isolate: number): { culprit: number; others: number[] } => {
    const others: number[] = [];
    let culprit = 0;
    runner.together(() => {
      others.push(runner.startInvoke(isolate, deed('never')));
      culprit = runner.startInvoke(isolate, deed('loopAfterAwait'));
      others.push(runner.startInvoke(isolate, deed('never')));
    });
    return { culprit, others };
  };
  const first = await load();
  for (let i = 0; i < 5; i++) await runner.invoke(first, deed('echo'));
  const unknown = batch(first);
  assert.equal((await runner.result(unknown.culprit)).kind, 'isolate_lost');
  const second = await load();
  for (let i = 0; i < 5; i++) await runner.invoke(second, deed('echo'));
  const known = batch(second);
  assert.equal((await runner.result(known.culprit)).kind, 'cpu_limit');
});

test('a promise that never settles times out, and leaves its isolate serving', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(MISDEEDS, { limits: LIMITS });
  const never = runner.startInvoke(isolate, deed('never', { leftMs: 150 }));
  assert.equal((await runner.invoke(isolate, deed('echo'))).json, 'ok');
  assert.equal((await runner.result(never)).kind, 'timeout');
  assert.equal((await runner.invoke(isolate, deed('wait'))).json, 'waited');
});

test('the signal aborts at the deadline and when the caller goes', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(MISDEEDS, { limits: LIMITS });
  assert.equal((await runner.invoke(isolate, deed('signal', { leftMs: 50 }))).kind, 'timeout');
  assert.equal((await runner.next('log')).head.lines[0]!.message, 'aborted: TimeoutError');
  const canceled = runner.startInvoke(isolate, deed('signal'));
  await runner.invoke(isolate, deed('echo'));
  runner.cancel(isolate, canceled);
  assert.equal((await runner.result(canceled)).kind, 'canceled');
  assert.equal((await runner.next('log')).head.lines[0]!.message, 'aborted: AbortError');
});

test('an invocation that times out before it entered never runs', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = (request) => { console.log('ran ' + request.text()); const end = Date.now() + 300; while (Date.now() < end); return 1; };`,
    { limits: { cpu_ms: 1_000 } },
  );
  const first = runner.startInvoke(isolate, { body: 'first' });
  const second = runner.startInvoke(isolate, { body: 'second', leftMs: 50 });
  assert.equal((await runner.result(second)).kind, 'timeout');
  assert.equal((await runner.result(first)).json, 1);
  assert.equal((await runner.invoke(isolate, { body: 'third' })).json, 1);
  assert.deepEqual(
    runner.lines(isolate).map(({ message }) => message),
    ['ran first', 'ran third'],
  );
});

test('while one isolate loops, another of the account answers', async (t) => {
  const runner = await startRunner(t);
  const looping = await runner.load(MISDEEDS, { limits: { cpu_ms: 1_000 } });
  const calm = await runner.load(MISDEEDS, { limits: LIMITS });
  const loop = runner.startInvoke(looping, deed('loop'));
  for (let i = 0; i < 20; i++) assert.equal((await runner.invoke(calm, deed('echo'))).json, 'ok');
  assert.ok(!runner.received.some(({ name, id }) => name === 'result' && id === loop), 'it loops still');
  assert.equal((await runner.result(loop)).kind, 'cpu_limit');
  assert.equal((await runner.invoke(calm, deed('echo'))).json, 'ok');
});

test('a native call that V8 cannot break off ends the process, after the culprit was told', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = () => { const n = 2n ** (2n ** 24n) - 1n; for (;;) n * n; };`,
    { limits: { cpu_ms: 100, memory_mb: 128 } },
  );
  assert.equal((await runner.invoke(isolate)).kind, 'cpu_limit');
  const { code, signal } = await runner.exited();
  assert.ok(code !== 0 || signal !== null, 'not as if all were well');
});

test('where V8 gives up on an isolate, the caller is told and the process ends', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = () => { const all = new Set(); for (let i = 0; ; i++) all.add('x' + i); };`,
    { limits: { cpu_ms: 60_000, memory_mb: 16 } },
  );
  const waiting = runner.startInvoke(isolate);
  assert.equal((await runner.result(waiting)).kind, 'memory_limit');
  assert.equal((await runner.next('isolateGone')).head.reason, 'memory_limit');
  const { code, signal } = await runner.exited();
  assert.ok(code !== 0 || signal !== null, 'not as if all were well');
});
