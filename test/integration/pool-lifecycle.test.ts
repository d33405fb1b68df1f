/** Accounts, isolates, spares and the end of it all, with real processes. */
import { strict as assert } from 'node:assert';
import { existsSync, readdirSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { createPool } from '../../src/pool/pool.ts';
import {
  deployment,
  poolParts,
  removeBundles,
  retryAfterMs,
  testPool,
  until,
  valueOf,
} from '../scripted-runner/pool.ts';

after(removeBundles);

interface Told {
  readonly pid: number;
  readonly isolate: number;
  readonly account: string;
  readonly userConfig: unknown;
}
const told = (outcome: Parameters<typeof valueOf>[0]): Told => valueOf(outcome) as Told;

describe('runners and accounts', () => {
  it('an account keeps its runner, and no other account gets it', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 2 } });
    const [a, b] = [deployment({ accountId: 'a' }), deployment({ accountId: 'b' })];
    const first = told(await p.run(a, { do: 'reply' }));
    const other = told(await p.run(b, { do: 'reply' }));
    assert.notEqual(first.pid, other.pid);
    const again = told(await p.run(deployment({ accountId: 'a' }), { do: 'reply' }));
    assert.equal(again.pid, first.pid);
    assert.notEqual(again.isolate, first.isolate);
    assert.equal(first.account, 'a');
  });

  it('the first call takes a spare, and another is booted in its place', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 2 } });
    const spares = (): number[] =>
      p.pool.runners().flatMap(({ pid, accountId }) => (accountId === undefined ? [pid] : []));
    await until('two spares', () => spares().length === 2);
    const before = spares();
    const { pid } = told(await p.run(deployment(), { do: 'reply' }));
    assert.ok(before.includes(pid));
    await until('two spares again', () => spares().length === 2);
    assert.ok(!spares().includes(pid));
  });

  it('works without spares', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 0 } });
    assert.equal((await p.run(deployment(), { do: 'reply' })).kind, 'reply');
    assert.deepEqual(
      p.pool.runners().map(({ accountId }) => accountId),
      ['a'],
    );
  });

  for (const boot of ['exit', 'silent', 'chatty', 'old'] as const)
    it(`a runner that boots ${boot} is no runner: calls learn so, with a time to try again`, async (t) => {
      const p = await testPool(t, { boot, bootMs: 500 });
      const outcome = await p.run(deployment(), { do: 'reply' });
      assert.equal(outcome.kind, 'runner_lost');
      assert.ok(retryAfterMs(outcome) >= 100);
    });

  it('where the runner is gone and all spares with it, the next call waits for a boot', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 2 } });
    const lambda = deployment();
    await p.run(lambda, { do: 'reply' });
    await until('spares are ready', () => p.pool.runners().length === 3);
    const pids = p.seen();
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until('it is known', () => p.pool.runners().every(({ pid }) => !pids.includes(pid)));
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
  });

  it('at the limit of runners, the one that was used longest ago makes room', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 0, maxRunners: 2 } });
    const [a, b, c] = ['a', 'b', 'c'].map((accountId) => deployment({ accountId }));
    await p.run(a!, { do: 'reply' });
    await p.run(b!, { do: 'reply' });
    assert.equal((await p.run(c!, { do: 'reply' })).kind, 'reply');
    assert.deepEqual(
      p.pool
        .runners()
        .map(({ accountId }) => accountId)
        .toSorted(),
      ['b', 'c'],
    );
  });

  it('at the limit of runners, all busy, a call is told to come back', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 0, maxRunners: 1 } });
    const a = deployment({ accountId: 'a' });
    const held = p.run(a, { do: 'hold' });
    await until('it runs', () => p.pool.instances(a.lambdaId)[0]?.state === 'running');
    const outcome = await p.run(deployment({ accountId: 'b' }), { do: 'reply' });
    assert.equal(outcome.kind, 'runner_lost');
    assert.ok(retryAfterMs(outcome) > 0);
    await p.run(a, { do: 'release' });
    assert.equal((await held).kind, 'reply');
  });
});

describe('isolates', () => {
  it('are loaded once for all that arrive meanwhile, and share the work where there are several', async (t) => {
    const p = await testPool(t);
    let loads = 0;
    const loadBundle = (): Promise<{ code: Buffer; map: Buffer }> => {
      loads++;
      return Promise.resolve({ code: Buffer.from('c'), map: Buffer.alloc(0) });
    };
    const one = deployment({ loadBundle });
    const answers = await Promise.all(Array.from({ length: 50 }, () => p.run(one, { do: 'reply' })));
    assert.equal(new Set(answers.map((each) => told(each).isolate)).size, 1);
    assert.equal(loads, 1);
    const three = deployment({ loadBundle, instances: 3 });
    const held = Array.from({ length: 9 }, () => p.run(three, { do: 'hold' }));
    await until('three run, evenly', () => {
      const instances = p.pool.instances(three.lambdaId);
      return instances.length === 3 && instances.every(({ state }) => state === 'running');
    });
    const more = Array.from({ length: 9 }, () => p.run(three, { do: 'hold' }));
    assert.deepEqual(
      p.pool.instances(three.lambdaId).map(({ inFlight }) => inFlight),
      [6, 6, 6],
    );
    await p.pool.close(0);
    for (const each of await Promise.all([...held, ...more])) assert.equal(each.kind, 'draining');
  });

  it('that broke a limit hand what had not entered to a fresh one, once', async (t) => {
    const p = await testPool(t);
    const lambda = deployment();
    await p.run(lambda, { do: 'reply' });
    const held = [p.run(lambda, { do: 'hold' }), p.run(lambda, { do: 'hold' })];
    assert.equal((await p.run(lambda, { do: 'lose' })).kind, 'cpu_limit');
    await until(
      'a fresh isolate has them',
      () =>
        p.pool.instances(lambda.lambdaId)[0]?.inFlight === 2 &&
        p.pool.instances(lambda.lambdaId)[0]?.state === 'running',
    );
    await p.run(lambda, { do: 'release' });
    for (const each of held) assert.equal(valueOf(await each), 'released');
    const twice = p.run(lambda, { do: 'hold' });
    await p.run(lambda, { do: 'lose' });
    await until('a fresh isolate has it', () => p.pool.instances(lambda.lambdaId)[0]?.state === 'running');
    await p.run(lambda, { do: 'lose' });
    assert.equal((await twice).kind, 'runner_lost');
  });

  it('that broke a limit lose nothing that was on its way to them', async (t) => {
    const p = await testPool(t);
    const lambda = deployment();
    await p.run(lambda, { do: 'reply' });
    const lost = p.run(lambda, { do: 'lose' });
    const crossing = Array.from({ length: 20 }, () => p.run(lambda, { do: 'reply' }));
    assert.equal((await lost).kind, 'cpu_limit');
    for (const each of await Promise.all(crossing)) assert.equal(each.kind, 'reply');
  });

  it('that fail to start say why, to calls and to prepare', async (t) => {
    const p = await testPool(t);
    const lambda = deployment({ load: 'fail' });
    const outcome = await p.run(lambda, { do: 'reply' });
    assert.deepEqual(
      [outcome.kind, outcome.kind !== 'reply' && outcome.detail],
      ['start_failed', 'told to fail'],
    );
    const prepared = await p.pool.prepare(lambda);
    assert.equal('kind' in prepared && prepared.kind, 'start_failed');
    assert.deepEqual(p.pool.instances(lambda.lambdaId), []);
  });

  it('are there after prepare', async (t) => {
    const p = await testPool(t);
    const lambda = deployment();
    const prepared = await p.pool.prepare(lambda);
    assert.deepEqual(prepared, { ms: 1, routes: [] });
    assert.equal(p.pool.instances(lambda.lambdaId)[0]?.state, 'running');
  });

  it("whose bundle can not be read are the host's fault", async (t) => {
    const p = await testPool(t);
    const lambda = deployment({ loadBundle: () => Promise.reject(new Error('disk')) });
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'internal');
  });

  it('that nobody calls are evicted, and their runner ends', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 0, idleMs: 200 } });
    const lambda = deployment();
    const first = told(await p.run(lambda, { do: 'reply' }));
    await until('evicted', () => p.pool.instances(lambda.lambdaId).length === 0);
    await until('no runner', () => p.pool.runners().length === 0);
    await until('no process', () => !existsSync(`/proc/${first.pid}`));
    assert.notEqual(told(await p.run(lambda, { do: 'reply' })).pid, first.pid);
  });

  it('that are busy are not evicted', async (t) => {
    const p = await testPool(t, { config: { idleMs: 100 } });
    const [busy, idle] = [deployment(), deployment()];
    const held = p.run(busy, { do: 'hold' });
    await p.run(idle, { do: 'reply' });
    await until('the idle one is evicted', () => p.pool.instances(idle.lambdaId).length === 0);
    assert.equal(p.pool.instances(busy.lambdaId)[0]?.inFlight, 1);
    await p.run(busy, { do: 'release' });
    assert.equal(valueOf(await held), 'released');
  });

  it('that are retired finish what they have; other versions go on', async (t) => {
    const p = await testPool(t);
    const v1 = deployment();
    const v2 = { ...v1, version: 2 };
    const held = p.run(v1, { do: 'hold' });
    const kept = told(await p.run(v2, { do: 'reply' }));
    await until('it runs', () => p.pool.instances(v1.lambdaId).every(({ state }) => state === 'running'));
    const retired = p.pool.retire(v1.lambdaId, 1, 'update');
    assert.deepEqual(
      p.pool
        .instances(v1.lambdaId)
        .map(({ state }) => state)
        .toSorted(),
      ['draining', 'running'],
    );
    const early = await Promise.race([
      retired.then(() => 'retired'),
      p.run(v2, { do: 'reply' }).then(() => 'waits'),
    ]);
    assert.equal(early, 'waits');
    assert.equal((await p.run(v2, { do: 'release' })).kind, 'reply');
    assert.equal(valueOf(await held), 'released');
    await retired;
    assert.deepEqual(
      p.pool.instances(v1.lambdaId).map(({ state }) => state),
      ['running'],
    );
    assert.equal(told(await p.run(v2, { do: 'reply' })).isolate, kept.isolate);
    await p.pool.retire(v1.lambdaId, 1, 'delete');
    await p.pool.retire('never-seen', 1, 'delete');
  });

  it('get a new user configuration without a restart', async (t) => {
    const p = await testPool(t);
    const lambda = deployment({ userConfig: { a: 1 } });
    const first = told(await p.run(lambda, { do: 'reply' }));
    assert.deepEqual(first.userConfig, { a: 1 });
    p.pool.configure(lambda.lambdaId, { a: 2 });
    const second = told(await p.run({ ...lambda, userConfig: { a: 2 } }, { do: 'reply' }));
    assert.deepEqual([second.userConfig, second.isolate], [{ a: 2 }, first.isolate]);
  });

  it('make way where their lambda gets other limits, and older calls do not bring the old ones back', async (t) => {
    const p = await testPool(t);
    const old = deployment();
    const first = told(await p.run(old, { do: 'reply' }));
    const raised = { ...old, limits: { ...old.limits, memory_mb: 256 } };
    const second = told(await p.run(raised, { do: 'reply' }));
    assert.notEqual(second.isolate, first.isolate);
    assert.equal(told(await p.run(old, { do: 'reply' })).isolate, second.isolate);
    assert.equal(told(await p.run(raised, { do: 'reply' })).isolate, second.isolate);
  });
});

describe('a call', () => {
  it('reports what it cost', async (t) => {
    const p = await testPool(t);
    const lambda = deployment();
    const head = {
      kind: 'rpc' as const,
      requestId: 'r',
      accountId: 'a',
      deadlineMs: Date.now() + 5000,
      contentType: '',
      headers: {},
      redelivered: false,
    };
    const { usage } = await p.pool.invoke(lambda, { head, body: Buffer.from('{"do":"reply"}') });
    assert.equal(usage.cpuUs, 42);
  });

  it('is canceled by its signal, before and after it is sent', async (t) => {
    const p = await testPool(t);
    const lambda = deployment();
    assert.equal((await p.run(lambda, { do: 'reply' }, { signal: AbortSignal.abort() })).kind, 'canceled');
    const controller = new AbortController();
    const held = p.run(lambda, { do: 'hold' }, { signal: controller.signal });
    await until('it runs', () => p.pool.instances(lambda.lambdaId)[0]?.state === 'running');
    await p.run(lambda, { do: 'reply' });
    controller.abort();
    assert.equal((await held).kind, 'canceled');
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
    assert.equal(p.pool.instances(lambda.lambdaId)[0]?.inFlight, 0);
  });

  it('whose deadline has passed does not start', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 0 } });
    assert.equal((await p.run(deployment(), { do: 'reply' }, { timeoutMs: 0 })).kind, 'timeout');
    assert.deepEqual(p.pool.runners(), []);
  });

  it('with large bodies both ways passes, in order with small ones', async (t) => {
    const p = await testPool(t);
    const lambda = deployment();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        p.run(lambda, { do: 'reply', bytes: index % 2 === 0 ? 3_000_000 : 10 }),
      ),
    );
    assert.deepEqual(
      outcomes.map((each) => each.kind === 'reply' && each.body.length),
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? 3_000_000 : 10)),
    );
    const head = {
      kind: 'rpc' as const,
      requestId: 'r',
      accountId: 'a',
      deadlineMs: Date.now() + 20_000,
      contentType: '',
      headers: {},
      redelivered: false,
    };
    const padded = Buffer.from(JSON.stringify({ do: 'reply', pad: 'x'.repeat(5_000_000) }));
    const sent = await Promise.all(
      Array.from({ length: 6 }, () => p.pool.invoke(lambda, { head, body: padded })),
    );
    for (const { outcome } of sent) assert.equal(outcome.kind, 'reply');
  });
});

describe('the end', () => {
  it('waits for what is in flight within the grace time, and leaves no process, folder or descriptor', async () => {
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    const pool = createPool(poolParts({ config: { spareRunners: 2 } }));
    await pool.start();
    const lambda = deployment();
    const head = {
      kind: 'rpc' as const,
      requestId: 'r',
      accountId: 'a',
      deadlineMs: Date.now() + 20_000,
      contentType: '',
      headers: {},
      redelivered: false,
    };
    const run = (script: object) => pool.invoke(lambda, { head, body: Buffer.from(JSON.stringify(script)) });
    const held = run({ do: 'hold' });
    await until('it runs', () => pool.instances(lambda.lambdaId)[0]?.state === 'running');
    const released = run({ do: 'release' });
    const pids = pool.runners().map(({ pid }) => pid);
    const closed = pool.close(10_000);
    assert.equal(pool.close(0), closed, 'the second close is the first');
    assert.equal((await run({ do: 'reply' })).outcome.kind, 'draining');
    assert.equal((await released).outcome.kind, 'reply');
    assert.equal((await held).outcome.kind, 'reply');
    await closed;
    for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}`), `runner ${pid} is left`);
    assert.deepEqual(pool.runners(), []);
    await until('no descriptor is left', () => descriptors() <= before);
  });

  it('cuts off what is in flight after the grace time', async (t) => {
    const p = await testPool(t);
    const lambda = deployment();
    const held = p.run(lambda, { do: 'hold' });
    await until('it runs', () => p.pool.instances(lambda.lambdaId)[0]?.state === 'running');
    await p.pool.close(100);
    assert.equal((await held).kind, 'draining');
  });

  it('tells those who still wait for a runner that the host stops', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 0 } });
    const waiting = p.run(deployment(), { do: 'reply' });
    await p.pool.close(0);
    assert.equal((await waiting).kind, 'draining');
  });

  it('of a pool that never started is no work', async () => {
    const pool = createPool(poolParts());
    assert.equal(pool.jail.kind, 'none');
    await pool.close(0);
  });
});
