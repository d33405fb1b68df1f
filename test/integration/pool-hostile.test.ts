/** Runners that break the protocol, over a real channel: each costs its own account only, and the next call gets a fresh one. */
import { strict as assert } from 'node:assert';
import { after, describe, it } from 'node:test';
import { encodeFrame, FrameType } from '../../src/protocol/frame.ts';
import type { LogHead } from '../../src/protocol/messages.ts';
import type { Script } from '../scripted-runner/main.ts';
import {
  deployment,
  noServices,
  removeBundles,
  retryAfterMs,
  testPool,
  until,
  valueOf,
  type TestPool,
} from '../scripted-runner/pool.ts';

after(removeBundles);

const base64 = (...bytes: Uint8Array[]): string => Buffer.concat(bytes).toString('base64');
const prefix = (length: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(length);
  return bytes;
};
const reply = JSON.stringify({ kind: 'reply', status: 200, headers: [] });
/** A frame whose head is longer than the frame. */
function overrun(): Buffer {
  const [frame] = encodeFrame(FrameType.result, 1, 1, 0, reply);
  const bytes = Buffer.from(frame);
  bytes.writeUInt32LE(0xffff_fff0, 17);
  return bytes;
}

const VIOLATIONS: Record<string, Script> = {
  'a length of 4 GiB': { do: 'raw', base64: base64(prefix(0xffff_ffff)) },
  'a length below a frame': { do: 'raw', base64: base64(prefix(3)) },
  'a length just above what the account may send': { do: 'raw', base64: base64(prefix(64 * 1024 * 1024)) },
  'a head longer than its frame': { do: 'raw', base64: base64(overrun()) },
  noise: { do: 'raw', base64: base64(Buffer.alloc(100_000, 0xa5)) },
  'a frame type that only hosts send': { do: 'frame', type: FrameType.invoke, head: '{}' },
  'a frame type that nobody sends': { do: 'frame', type: 200, head: '{}' },
  'ready, again': { do: 'frame', type: FrameType.ready, head: '{"protocol":1,"node":"","v8":""}' },
  'a result for an invocation that nobody sent': {
    do: 'frame',
    type: FrameType.result,
    id: 4_000_000,
    head: reply,
  },
  'a result in the name of another isolate': {
    do: 'frame',
    type: FrameType.result,
    isolate: 77,
    head: reply,
  },
  'a second result': { do: 'twice' },
  'a result whose head is not JSON': { do: 'frame', type: FrameType.result, head: '{' },
  'a result of no known kind': { do: 'frame', type: FrameType.result, head: '{"kind":"fine","detail":""}' },
  'an outcome that only the host decides': {
    do: 'frame',
    type: FrameType.result,
    head: '{"kind":"quarantined","detail":""}',
  },
  'a status that HTTP does not know': {
    do: 'frame',
    type: FrameType.result,
    head: '{"kind":"reply","status":99,"headers":[]}',
  },
  'headers that are no texts': {
    do: 'frame',
    type: FrameType.result,
    head: '{"kind":"reply","status":200,"headers":[{}]}',
  },
  'loaded, again': { do: 'frame', type: FrameType.loaded, head: '{"ms":1,"routes":[]}' },
  'a load that failed after it was done': {
    do: 'frame',
    type: FrameType.loadFailed,
    head: '{"kind":"start_failed","detail":""}',
  },
  'unloaded without being told to': { do: 'frame', type: FrameType.unloaded, head: '{}' },
  'a pong to no ping': { do: 'frame', type: FrameType.pong, id: 4_000_000, head: '{"isolates":[]}' },
  'an end of its isolate that lists an invocation which is not there': {
    do: 'frame',
    type: FrameType.isolateGone,
    head: '{"reason":"cpu_limit","detail":"","notEntered":[4000000]}',
  },
  'a bridge call of no known kind': {
    do: 'frame',
    type: FrameType.bridgeCall,
    head: '{"bridge":"shell","invocation":1}',
  },
  'a bridge call that is still under way': {
    do: 'frame',
    type: FrameType.bridgeCall,
    id: 1,
    head: '{"bridge":"fetch","invocation":1,"url":"http://x/"}',
    times: 2,
  },
  'a log whose lines are no lines': { do: 'frame', type: FrameType.log, head: '{"lines":[1],"dropped":0}' },
  'more frames than a runner can have reason to send': {
    do: 'frame',
    type: FrameType.log,
    head: '{"lines":[],"dropped":0}',
    times: 200_000,
  },
};

/** The invocation's own id is the first of its runner in each of these. */
async function survives(p: TestPool, script: Script): Promise<void> {
  const lambda = deployment();
  const outcome = await p.run(lambda, script);
  // `twice` and the like may get their answer before the violation.
  if (outcome.kind !== 'reply') assert.equal(outcome.kind, 'runner_lost', JSON.stringify(outcome));
}

describe('a runner that breaks the protocol is killed, and only its account notices', () => {
  for (const [what, script] of Object.entries(VIOLATIONS))
    it(what, async (t) => {
      // Answers never: a bridge call stays under way.
      const call = (): Promise<never> => new Promise(() => undefined);
      const p = await testPool(t, { config: { spareRunners: 2 }, services: { ...noServices, call } });
      const neighbour = deployment({ accountId: 'b' });
      const before = valueOf(await p.run(neighbour, { do: 'reply' })) as { pid: number };
      const held = p.run(neighbour, { do: 'hold' });
      await survives(p, script);
      await until('the runner is gone', () => !p.pool.runners().some(({ accountId }) => accountId === 'a'));
      const fresh = await p.run(deployment(), { do: 'reply' });
      assert.equal(fresh.kind, 'reply', 'the next call gets a fresh runner');
      assert.equal((valueOf(await p.run(neighbour, { do: 'reply' })) as { pid: number }).pid, before.pid);
      assert.equal((await p.run(neighbour, { do: 'release' })).kind, 'reply');
      assert.equal(valueOf(await held), 'released', 'what the neighbour had in flight went on');
    });
});

describe('a runner that goes away', () => {
  for (const [what, script] of Object.entries({
    'by exiting': { do: 'exit' },
    'by closing its channel': { do: 'close' },
  } satisfies Record<string, Script>))
    it(`${what} fails what it had, and what it had not yet been sent runs in the next`, async (t) => {
      const p = await testPool(t);
      const lambda = deployment();
      await p.run(lambda, { do: 'reply' });
      const held = p.run(lambda, { do: 'hold' });
      const outcome = await p.run(lambda, script);
      assert.equal(outcome.kind, 'runner_lost');
      assert.ok(retryAfterMs(outcome) > 0);
      assert.equal((await held).kind, 'runner_lost');
      assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
    });

  it('while it loads: those that wait go to the next runner, once, and then learn that it was lost', async (t) => {
    const p = await testPool(t);
    const outcome = await p.run(deployment({ load: 'exit' }), { do: 'reply' });
    assert.equal(outcome.kind, 'runner_lost');
  });

  it('three times in a minute has its version quarantined, and no other', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 2 } });
    const lambda = deployment();
    for (let kill = 0; kill < 3; kill++)
      assert.equal((await p.run(lambda, { do: 'exit' })).kind, 'runner_lost');
    const outcome = await p.run(lambda, { do: 'reply' });
    assert.equal(outcome.kind, 'quarantined');
    assert.ok(retryAfterMs(outcome) > 5000 && retryAfterMs(outcome) <= 10_000);
    const prepared = await p.pool.prepare(lambda);
    assert.equal('kind' in prepared && prepared.kind, 'quarantined');
    assert.equal((await p.run(deployment(), { do: 'reply' })).kind, 'reply');
    assert.equal((await p.run({ ...lambda, version: 2 }, { do: 'reply' })).kind, 'reply');
  });

  it('is not held against a lambda of the account that answers', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 2 } });
    const [killer, good] = [deployment(), deployment()];
    for (let kill = 0; kill < 3; kill++) {
      assert.equal((await p.run(good, { do: 'reply' })).kind, 'reply');
      const held = p.run(good, { do: 'hold' });
      await p.run(killer, { do: 'exit' });
      assert.equal((await held).kind, 'runner_lost');
    }
    assert.equal((await p.run(killer, { do: 'reply' })).kind, 'quarantined');
    assert.equal((await p.run(good, { do: 'reply' })).kind, 'reply');
  });
});

describe('a runner that does not answer', () => {
  it('gets its call a timeout at the deadline', async (t) => {
    const p = await testPool(t);
    const started = Date.now();
    const outcome = await p.run(deployment(), { do: 'ignore' }, { timeoutMs: 500 });
    assert.equal(outcome.kind, 'timeout');
    assert.ok(Date.now() - started >= 500);
  });

  it('is killed when it still owes the answer long after', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 0 } });
    const lambda = deployment();
    assert.equal((await p.run(lambda, { do: 'ignore' }, { timeoutMs: 100 })).kind, 'timeout');
    const [pid] = p.seen();
    await until('the silent runner is gone', () => !p.pool.runners().some((runner) => runner.pid === pid));
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
  });

  it('to pings either is killed within seconds, with what it had', async (t) => {
    const p = await testPool(t);
    const lambda = deployment({ limits: { cpu_cores: 2, cpu_ms: 999 } });
    const outcome = await p.run(lambda, { do: 'spin', ms: 60_000 });
    assert.equal(outcome.kind, 'runner_lost');
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
  });

  it('because a call may hold it up, is killed when that has used its CPU, and the version may not again', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 2 } });
    const lambda = deployment({ limits: { cpu_cores: 2, cpu_ms: 1_000 } });
    await p.run(lambda, { do: 'reply' });
    const culprit = p.run(lambda, { do: 'spin', ms: 60_000 });
    const behind = p.run(lambda, { do: 'reply' });
    assert.equal((await culprit).kind, 'cpu_limit');
    assert.equal((await behind).kind, 'runner_lost');
    assert.equal((await p.run(lambda, { do: 'spin', ms: 60_000 })).kind, 'runner_lost');
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply', 'neither kill shuts the version out');
  });

  it('to a load leaves those that wait with a timeout', async (t) => {
    const p = await testPool(t);
    const outcome = await p.run(deployment({ load: 'never' }), { do: 'reply' }, { timeoutMs: 300 });
    assert.equal(outcome.kind, 'timeout');
  });
});

describe('what a runner says too much of', () => {
  it('on its outputs is read and thrown away', async (t) => {
    const p = await testPool(t);
    assert.equal(valueOf(await p.run(deployment(), { do: 'print', bytes: 4 * 1024 * 1024 })), 'printed');
  });

  it('in its log is dropped, and counted', async (t) => {
    const heads: LogHead[] = [];
    const p = await testPool(t, { services: { ...noServices, log: (_, head) => void heads.push(head) } });
    const lambda = deployment({ limits: { log_bytes_per_s: 256 } });
    const line = { level: 'info', time: 1, message: 'x'.repeat(1000) };
    const head = JSON.stringify({ lines: [line], dropped: 0 });
    void p.run(lambda, { do: 'frame', type: FrameType.log, head, times: 1000 });
    await until('lines came', () => heads.length > 100);
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
    assert.ok(heads.length < 500, `${heads.length} of 1000 frames passed`);
  });
});

describe('outward requests', () => {
  const counting = () => {
    const seen = { calls: 0, atOnce: 0, most: 0, aborted: 0 };
    const call: typeof noServices.call = (_guest, _call, _body, signal) => {
      seen.calls++;
      seen.most = Math.max(seen.most, ++seen.atOnce);
      signal.addEventListener('abort', () => seen.aborted++);
      return new Promise((resolve) =>
        setImmediate(() => {
          seen.atOnce--;
          resolve({
            reply: { ok: true, status: 200, headers: [], url: '', redirected: false },
            body: Buffer.alloc(100),
          });
        }),
      );
    };
    return { seen, services: { ...noServices, call } };
  };

  it('of one invocation are counted by the host, whatever the guest says', async (t) => {
    const { seen, services } = counting();
    const p = await testPool(t, { services });
    const lambda = deployment({ limits: { fetches: 3, fetch_concurrency: 100 } });
    const codes = valueOf(await p.run(lambda, { do: 'fetch', times: 5, url: 'http://x/' }));
    assert.deepEqual((codes as string[]).toSorted(), ['fetch_limit', 'fetch_limit', 'ok', 'ok', 'ok']);
    assert.equal(seen.calls, 3);
    assert.deepEqual(valueOf(await p.run(lambda, { do: 'fetch', times: 1, url: 'http://x/' })), ['ok']);
  });

  it('of one isolate at once are bounded', async (t) => {
    const { seen, services } = counting();
    const p = await testPool(t, { services });
    const lambda = deployment({ limits: { fetch_concurrency: 2 } });
    const codes = valueOf(await p.run(lambda, { do: 'fetch', times: 10, url: 'http://x/' })) as string[];
    assert.ok(seen.most <= 2);
    assert.ok(codes.includes('fetch_concurrency') && codes.includes('ok'));
  });

  it('have bodies and replies within their limits', async (t) => {
    const { services } = counting();
    const p = await testPool(t, { services });
    const small = deployment({ limits: { fetch_bytes: 99 } });
    assert.deepEqual(valueOf(await p.run(small, { do: 'fetch', times: 1, url: 'http://x/' })), [
      'fetch_too_large',
    ]);
    const enough = deployment({ limits: { fetch_bytes: 100, request_bytes: 1000 } });
    assert.deepEqual(valueOf(await p.run(enough, { do: 'fetch', times: 1, url: 'http://x/', bytes: 1000 })), [
      'ok',
    ]);
    assert.deepEqual(valueOf(await p.run(enough, { do: 'fetch', times: 1, url: 'http://x/', bytes: 1001 })), [
      'fetch_body_too_large',
    ]);
  });

  it('are aborted when their invocation ends', async (t) => {
    let aborted = 0;
    const call: typeof noServices.call = (_guest, _call, _body, signal) =>
      new Promise(() => signal.addEventListener('abort', () => aborted++));
    const p = await testPool(t, { services: { ...noServices, call } });
    const lambda = deployment();
    // Booted and loaded before the short deadline counts.
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
    const outcome = await p.run(lambda, { do: 'fetch', times: 2, url: 'http://x/' }, { timeoutMs: 1_000 });
    assert.equal(outcome.kind, 'timeout');
    assert.equal(aborted, 2);
  });
});
