/** What the host enforces on a whole runner, with real processes: memory, CPU, and that it is replaced when it has grown. */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { after, describe, it } from 'node:test';
import { openGauge } from '../../src/pool/process-gauge.ts';
import { deployment, removeBundles, testPool, until, valueOf } from '../scripted-runner/pool.ts';

after(removeBundles);

/** User and system time of a process, in milliseconds. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Of the session: `/autogroup-106 nice 0`. */
function niceOf(pid: number): number | undefined {
  try {
    return Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

describe("an account's runner", { skip: process.platform !== 'linux' && 'measured through /proc' }, () => {
  it('is killed above process_memory_mb, its calls learn why, and the other account goes on', async (t) => {
    const p = await testPool(t, { config: { spareRunners: 2 } });
    const neighbour = deployment({ accountId: 'b' });
    await p.run(neighbour, { do: 'reply' });
    const held = p.run(neighbour, { do: 'hold' });
    const lambda = deployment({ limits: { process_memory_mb: 150 } });
    const outcome = await p.run(lambda, { do: 'eat', mib: 200 });
    assert.equal(outcome.kind, 'memory_limit');
    assert.equal((await p.run(lambda, { do: 'reply' })).kind, 'reply');
    await p.run(neighbour, { do: 'release' });
    assert.equal(valueOf(await held), 'released');
  });

  it('is replaced when it has grown, after what it has in flight', async (t) => {
    const p = await testPool(t);
    const lambda = deployment({ limits: { process_memory_mb: 300 } });
    await p.run(lambda, { do: 'reply' });
    const [before] = p.pool.runners().filter(({ accountId }) => accountId !== undefined);
    const held = p.run(lambda, { do: 'eat', mib: 210 });
    // Two runners while the old one drains.
    await until('the next call gets a fresh runner', async () => {
      await p.run(lambda, { do: 'reply' });
      return p.pool.runners().some(({ accountId, pid }) => accountId !== undefined && pid !== before?.pid);
    });
    assert.ok(p.pool.runners().some(({ pid }) => pid === before?.pid));
    void held;
  });

  it('gets no more CPU than cpu_cores, and is not taken for stuck meanwhile', async (t) => {
    const p = await testPool(t);
    const lambda = deployment({ limits: { cpu_cores: 0.2 } });
    await p.run(lambda, { do: 'reply' });
    const pid = p.pool.runners().find(({ accountId }) => accountId !== undefined)!.pid;
    // The savings of a quarter second go first.
    let calls = 0;
    const started = Date.now();
    const before = cpuMs(pid);
    while (Date.now() - started < 2500) {
      assert.equal(valueOf(await p.run(lambda, { do: 'spin', ms: 50 })), 'spun');
      calls++;
    }
    const share = (cpuMs(pid) - before) / (Date.now() - started);
    assert.ok(calls > 1);
    assert.ok(share < 0.2 + 0.25, `took ${share} cores`);
  });

  it('can be made to yield the processor, with all of its threads, and to have its share again', async (t) => {
    const p = await testPool(t);
    await p.run(deployment(), { do: 'reply' });
    const pid = p.pool.runners().find(({ accountId }) => accountId !== undefined)!.pid;
    const gauge = openGauge(pid)!;
    t.after(() => gauge.close());
    if (niceOf(pid) === undefined) return t.skip('this kernel does not group tasks by session');
    assert.equal(niceOf(pid), 0);
    gauge.weigh('yielding');
    assert.equal(niceOf(pid), 10);
    gauge.weigh('usual');
    assert.equal(niceOf(pid), 0);
    if (process.getuid?.() !== 0) return;
    gauge.weigh('yielding');
    const threads = readdirSync(`/proc/${pid}/task`).map(Number);
    assert.ok(threads.length > 1);
    for (const thread of threads) assert.equal(getPriority(thread), 10);
  });
});
