import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { FrameType } from '../../src/protocol/frame.ts';
import { removeImage, startRunner, type LoadOptions, type RunnerUnderTest } from './runner-rig.ts';

after(removeImage);

const DEEDS = `
  class Refused extends tools.UserException { statusCode = 400; errorText = 'not so'; }
  const compute = (ms) => { const end = Date.now() + ms; while (Date.now() < end); return 'computed'; };
  const deeds = {
    echo: () => 'ok',
    late: async () => { await null; await Promise.resolve(); return 'late'; },
    compute: () => compute(150),
    // Of wall time: on a busy machine a third of it may be CPU.
    computeMuch: () => compute(900),
    computeLate: async () => { await null; return compute(150); },
    logAndCompute: () => { console.log('before'); return compute(300); },
    throws: () => { throw new Refused(); },
    rejects: () => { Promise.reject(new Error('nobody listens')); return 'ok'; },
    memory: () => { const all = []; for (;;) all.push(new Array(10000).fill(all.length)); },
    fetch: async () => (await fetch('http://example.test/')).text(),
    fetchAndCompute: async () => { await fetch('http://example.test/'); return compute(150); },
    replyAndCompute: () => { const tail = async () => { for (let i = 0; i < 20; i++) await null; compute(300); }; void tail(); return 'replied'; },
    wait: () => new Promise((r) => setTimeout(() => r('waited'), 100)),
  };
  exports.main = (request) => (deeds[request.json] ?? deeds.echo)(request);`;

const deed = (name: string): { body: string } => ({ body: JSON.stringify(name) });

/** Loads a lambda and calls it until its entries are known to be brief. */
async function brief(runner: RunnerUnderTest, options: LoadOptions = {}): Promise<number> {
  const isolate = await runner.load(DEEDS, { inline: true, ...options });
  await becomeBrief(runner, isolate);
  return isolate;
}

async function becomeBrief(runner: RunnerUnderTest, isolate: number): Promise<void> {
  let inARow = 0;
  for (let calls = 0; inARow < 80; calls++) {
    assert.ok(calls < 5_000, 'its calls never were brief');
    const { json, cpuUs } = await runner.invoke(isolate, deed('echo'));
    assert.equal(json, 'ok');
    // Cold ones, and those of a busy machine, may take longer than a brief one may.
    inARow = cpuUs < 3_000 ? inARow + 1 : 0;
  }
}

let pings = 0;

/** Asks for a sign of life in a moment, not in one write with what came before: a runner enters after all that it has read. */
function pingSoon(runner: RunnerUnderTest): Promise<unknown> {
  const ping = ++pings;
  setTimeout(() => runner.send(FrameType.ping, 0, ping, 0, ''), 30);
  return runner.next('pong', ({ id }) => id === ping);
}

/** Whether the runner answers a ping only after the call: then the call holds its thread. */
async function holdsUp(runner: RunnerUnderTest, isolate: number, name = 'compute'): Promise<boolean> {
  const before = runner.received.length;
  runner.startInvoke(isolate, deed(name));
  await Promise.all([runner.next('result'), pingSoon(runner)]);
  const order = runner.received.slice(before).map(({ name: frame }) => frame);
  return order.indexOf('result') < order.indexOf('pong');
}

/** Whether it comes to that: on a busy machine a call may just have been longer than a brief one is. */
async function comesTo(
  runner: RunnerUnderTest,
  isolate: number,
  holds: () => Promise<boolean>,
): Promise<boolean> {
  for (let tries = 0; tries < 5; tries++) {
    await becomeBrief(runner, isolate);
    if (await holds()) return true;
  }
  return false;
}

test('a call that is alone enters on the runner’s thread once its lambda is known to be brief', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(DEEDS, { inline: true });
  assert.equal(await holdsUp(runner, isolate), false, 'before it is known');
  assert.ok(await comesTo(runner, isolate, () => holdsUp(runner, isolate)), 'after');
  assert.equal(await holdsUp(runner, isolate), false, 'one that was not brief');
  assert.ok(
    await comesTo(runner, isolate, () => holdsUp(runner, isolate, 'computeLate')),
    'its microtasks too',
  );
});

test('it does not where the host forbids it, where another isolate lives in the runner, or another call is under way', async (t) => {
  const runner = await startRunner(t);
  const forbidden = await brief(runner, { inline: false });
  assert.equal(await holdsUp(runner, forbidden), false);
  runner.send(FrameType.unload, forbidden, 0, 0, { reason: 'delete', graceMs: 0 });
  await runner.next('unloaded');

  const isolate = await brief(runner);
  const waits = runner.startInvoke(isolate, deed('wait'));
  assert.equal(await holdsUp(runner, isolate), false, 'beside another call');
  await runner.result(waits);

  await becomeBrief(runner, isolate);
  await runner.load(DEEDS);
  assert.equal(await holdsUp(runner, isolate), false, 'beside another isolate');
});

test('inline, a call gets what it gets elsewhere: late replies, failures, outward calls', async (t) => {
  const runner = await startRunner(t);
  const isolate = await brief(runner);
  assert.equal((await runner.invoke(isolate, deed('late'))).json, 'late');
  const thrown = await runner.invoke(isolate, deed('throws'));
  assert.deepEqual([thrown.kind, thrown.status, thrown.detail], ['user_exception', 400, 'not so']);
  assert.equal((await runner.invoke(isolate, deed('rejects'))).json, 'ok');
  await runner.next('log', ({ head }) => head.lines.some(({ message }) => /nobody listens/.test(message)));
  assert.equal((await runner.invoke(isolate, deed('wait'))).json, 'waited');

  const ok = { ok: true, status: 200, headers: [], url: 'http://example.test/', redirected: false };
  const fetching = runner.startInvoke(isolate, deed('fetch'));
  runner.bridgeReply(isolate, (await runner.next('bridgeCall')).id, ok, 'outside');
  assert.equal((await runner.result(fetching)).json, 'outside');

  const answerHoldsUp = async (): Promise<boolean> => {
    const id = runner.startInvoke(isolate, deed('fetchAndCompute'));
    const call = await runner.next('bridgeCall');
    const before = runner.received.length;
    runner.bridgeReply(isolate, call.id, ok);
    const [answer] = await Promise.all([runner.result(id), pingSoon(runner)]);
    assert.equal(answer.json, 'computed');
    return runner.received[before]?.name === 'result';
  };
  assert.ok(
    await comesTo(runner, isolate, answerHoldsUp),
    'the answer of an outward call enters inline, too',
  );
});

test('bytes and long texts go in and out inline, too', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load('exports.lambda_handler = (event) => event;', {
    type: 'rpc',
    inline: true,
  });
  const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7) % 256));
  for (let i = 0; i < 200; i++) {
    const body = bytes.subarray(0, i * 100);
    const answer = await runner.invoke(isolate, { rpc: { contentType: 'application/octet-stream' }, body });
    assert.equal(answer.kind, 'reply', answer.detail);
    assert.deepEqual(answer.body, body);
  }
  const text = 'ä'.repeat(20_000);
  const answer = await runner.invoke(isolate, { rpc: { contentType: 'text/plain' }, body: text });
  assert.equal(answer.text, text);
});

test('a line that is logged before a long computation is told while it goes on', async (t) => {
  const runner = await startRunner(t);
  const isolate = await brief(runner);
  const id = runner.startInvoke(isolate, deed('logAndCompute'));
  const first = await runner.next(['log', 'result']);
  assert.equal(first.name, 'log');
  assert.equal((await runner.result(id)).json, 'computed');
});

test('a reply leaves when its entry has ended: whoever holds the runner up has its call open', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(DEEDS, { inline: true });
  const repliesLate = async (): Promise<boolean> => {
    const since = performance.now();
    assert.equal((await runner.invoke(isolate, deed('replyAndCompute'))).json, 'replied');
    return performance.now() - since >= 300;
  };
  assert.equal(await repliesLate(), false, 'by the pool it does not wait');
  assert.ok(await comesTo(runner, isolate, repliesLate));
});

test('memory without end is memory_limit inline, too, and the next isolate serves', async (t) => {
  const runner = await startRunner(t);
  const isolate = await brief(runner, { limits: { memory_mb: 32, cpu_ms: 5_000 } });
  const answer = await runner.invoke(isolate, deed('memory'));
  assert.equal(answer.kind, 'memory_limit');
  assert.equal((await runner.next('isolateGone')).head.reason, 'memory_limit');
  const fresh = await brief(runner);
  assert.equal((await runner.invoke(fresh, deed('echo'))).json, 'ok');
});

test('a call that replies after more than cpu_ms is told cpu_limit instead', async (t) => {
  const runner = await startRunner(t);
  const isolate = await brief(runner, { limits: { cpu_ms: 100 } });
  const answer = await runner.invoke(isolate, deed('computeMuch'));
  assert.equal(answer.kind, 'cpu_limit', answer.detail);
  assert.ok(answer.cpuUs >= 100_000, `${answer.cpuUs} us charged`);
  assert.equal((await runner.next('isolateGone')).head.reason, 'cpu_limit');
});
