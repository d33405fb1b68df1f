/** An account's rate and places over three real hosts, under load. Takes two minutes. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deploy, ECHO, type TestAccount, type TestHost } from '../host.ts';
import { callOn, startHosts, untilFits } from '../hosts.ts';
import { ownSchema } from '../postgres.ts';

const RATE = 100;
const SETTLE_MS = 4_000;
const MEASURE_MS = 15_000;
const TICK_MS = 20;

describe('limits over three hosts', { timeout: 400_000 }, () => {
  let hosts: TestHost[] = [];
  let account: TestAccount;
  let lambdaId: string;
  const endings: (() => Promise<void>)[] = [];
  before(async () => {
    const url = await ownSchema({ after: (end) => endings.push(end) });
    hosts = await startHosts(url, 3);
    account = await hosts[0]!.account({ account_rate_per_s: RATE });
    lambdaId = await deploy(account.api, ECHO);
    for (const host of hosts)
      await untilFits(
        () => callOn(host, account.token, lambdaId),
        ({ status }) => status === 200,
      );
  });
  after(async () => {
    await Promise.all(hosts.map((host) => host.stop()));
    for (const end of endings) await end();
  });

  /** So many calls per second on each host, whatever the replies are; admitted calls by host. */
  async function load(
    perSecond: readonly number[],
    ms: number,
  ): Promise<{ admitted: number[]; offered: number[]; seconds: number }> {
    const admitted = perSecond.map(() => 0);
    const offered = perSecond.map(() => 0);
    const open: Promise<void>[] = [];
    const rest = perSecond.map(() => 0);
    /** Whole calls that are due; what is left over counts the next time. */
    const dueOf = (rate: number, passedMs: number, index: number): number => {
      const due = rest[index]! + (rate * passedMs) / 1_000;
      rest[index] = due % 1;
      return Math.floor(due);
    };
    const startMs = performance.now();
    let lastMs = startMs;
    for (let nowMs = startMs; nowMs - startMs < ms; nowMs = performance.now()) {
      for (const [index, rate] of perSecond.entries())
        // What a busy machine made this loop miss is not made up for in one go: that would be another load.
        for (let due = Math.min(dueOf(rate, nowMs - lastMs, index), rate / 10); due >= 1; due -= 1) {
          offered[index]! += 1;
          open.push(
            callOn(hosts[index]!, account.token, lambdaId).then(({ status }) => {
              if (status === 200) admitted[index]! += 1;
              else assert.equal(status, 429);
            }),
          );
        }
      lastMs = nowMs;
      await sleep(TICK_MS);
    }
    const seconds = (performance.now() - startMs) / 1_000;
    await Promise.all(open);
    return { admitted, offered, seconds };
  }

  async function holds(t: TestContext, perSecond: readonly number[]): Promise<void> {
    await load(perSecond, SETTLE_MS);
    const { admitted, offered, seconds } = await load(perSecond, MEASURE_MS);
    const rate = admitted.reduce((sum, each) => sum + each, 0) / seconds;
    t.diagnostic(
      `offered ${perSecond.join('/')} per second: ${offered.join('/')} calls, ${admitted.join('/')} admitted in ${seconds.toFixed(1)} s: ${rate.toFixed(1)} per second`,
    );
    assert.ok(rate < RATE * 1.15, `${rate} per second of ${RATE}`);
    const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
    // A machine that is too busy to send the calls can't say how many would have been let in.
    if (sum(offered) < sum(perSecond) * seconds * 0.9)
      t.diagnostic('the load was not kept up: no lower bound');
    else assert.ok(rate > RATE * 0.85, `${rate} per second of ${RATE}`);
  }

  test('calls spread evenly', (t) => holds(t, [100, 100, 100]));
  test('calls spread unevenly', (t) => holds(t, [200, 60, 10]));
  test('all calls on one host', (t) => holds(t, [0, 250, 0]));

  test('a host is killed: the others have its part', async (t) => {
    await load([100, 100, 100], 2_000);
    await hosts[2]!.kill();
    await holds(t, [150, 150, 0]);
  });
});
