import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAdmission, type Admission, type Permit } from '../../src/admission/admission.ts';
import { shareOf } from '../../src/admission/shares.ts';
import type { Deployment } from '../../src/config/deployment.ts';
import { deploymentWith } from './deployment.ts';

/** Hosts that beat every 200 ms of a clock that the test turns, each a third of a beat after the one before. */
class Cluster {
  nowMs = 1_000_000;
  readonly hosts: { admission: Admission; said: string; connected: boolean; alive: boolean }[] = [];

  join(): void {
    const admission = createAdmission({ now: () => this.nowMs });
    const host = { admission, said: '{}', connected: true, alive: true };
    this.hosts.push(host);
    // As `join` of the store: before it serves.
    for (const each of this.hosts) this.beat(each);
  }

  beat(host: (typeof this.hosts)[number]): void {
    if (!host.connected || !host.alive) return;
    host.said = host.admission.shares.say();
    host.admission.shares.hear(
      this.hosts.filter((other) => other !== host && other.connected && other.alive).map(({ said }) => said),
    );
  }

  /** Calls per second for each host, spread over the time; the number that each let in. */
  run(deployment: Deployment, perSecond: readonly number[], seconds: number): number[] {
    const admitted = perSecond.map(() => 0);
    const due = perSecond.map(() => 0);
    for (let ms = 0; ms < seconds * 1_000; ms += 1) {
      this.nowMs += 1;
      for (const [index, host] of this.hosts.entries()) {
        if ((this.nowMs + index * 67) % 200 === 0) this.beat(host);
        for (due[index]! += perSecond[index]! / 1_000; due[index]! >= 1; due[index]! -= 1) {
          if (!host.alive) continue;
          const result = host.admission.admit(deployment, this.nowMs + 1_000);
          if (!('release' in result)) continue;
          admitted[index]! += 1;
          result.release();
        }
      }
    }
    return admitted;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
const within15 = (admitted: readonly number[], perSecond: number, seconds: number, what: string): void => {
  const rate = sum(admitted) / seconds;
  assert.ok(
    rate >= perSecond * 0.85 && rate <= perSecond * 1.15,
    `${what}: ${rate} per second of ${perSecond}`,
  );
};
const limited = deploymentWith;

describe('limits over several hosts', () => {
  const rate = limited({ account_rate_per_s: 100, rate_per_s: 10_000 });

  test('a rate holds, spread evenly, unevenly, on one host alone, and when the load moves', () => {
    const cluster = new Cluster();
    for (let host = 0; host < 3; host += 1) cluster.join();
    // The burst, once.
    cluster.run(rate, [100, 100, 100], 5);
    within15(cluster.run(rate, [100, 100, 100], 10), 100, 10, 'evenly');
    const uneven = cluster.run(rate, [290, 10, 0], 10);
    within15(uneven, 100, 10, 'unevenly');
    assert.ok(uneven[1]! > 80, `who asks for little gets it: ${uneven[1]} of 100`);
    within15(cluster.run(rate, [300, 0, 0], 10), 100, 10, 'on one');
    within15(cluster.run(rate, [0, 0, 300], 10), 100, 10, 'moved');
    cluster.run(rate, [60, 20, 5], 2);
    const below = cluster.run(rate, [60, 20, 5], 10);
    assert.ok(sum(below) > 820, `below the limit nearly all pass: ${sum(below)} of 850`);
  });

  test('it holds when a host joins, when one dies, and when the database is away', () => {
    const cluster = new Cluster();
    cluster.join();
    cluster.run(rate, [300], 5);
    within15(cluster.run(rate, [300], 10), 100, 10, 'alone');
    cluster.join();
    cluster.run(rate, [150, 150], 3);
    within15(cluster.run(rate, [150, 150], 10), 100, 10, 'joined');
    cluster.hosts[0]!.alive = false;
    within15(cluster.run(rate, [0, 300], 10), 100, 10, 'one died');
    cluster.join();
    cluster.run(rate, [0, 150, 150], 3);
    for (const host of cluster.hosts) host.connected = false;
    within15(cluster.run(rate, [0, 150, 150], 10), 100, 10, 'database away');
    assert.ok(sum(cluster.run(rate, [0, 300, 0], 10)) < 1_000, 'cut off, a host has its part and no more');
  });

  test('places: no more in flight than the limit and one a host, and a place goes where it is asked for', async () => {
    const places = limited({ account_concurrency: 30, concurrency: 30, queue: 100 });
    const cluster = new Cluster();
    for (let host = 0; host < 3; host += 1) cluster.join();
    const [first, second] = cluster.hosts as [(typeof cluster.hosts)[0], (typeof cluster.hosts)[0]];
    const inFlight = (): number =>
      sum(cluster.hosts.map(({ admission }) => admission.usage(places.accountId).inFlight));
    const permits: Permit[] = [];
    const call = (host: typeof first): void =>
      void Promise.resolve(host.admission.admit(places, cluster.nowMs + 60_000)).then(
        (result) => 'release' in result && permits.push(result),
      );
    for (let index = 0; index < 30; index += 1) call(first);
    assert.equal(inFlight(), 10, 'its part at first');
    cluster.run(places, [0, 0, 0], 1);
    assert.ok(inFlight() >= 27 && inFlight() <= 32, `the others ask for none: ${inFlight()}`);
    for (let index = 0; index < 30; index += 1) call(second);
    cluster.run(places, [0, 0, 0], 1);
    assert.ok(inFlight() <= 32, `${inFlight()}`);
    assert.ok(second.admission.usage(places.accountId).inFlight >= 1, 'one at least');
    await new Promise(setImmediate);
    for (const permit of permits.splice(0)) permit.release();
    cluster.run(places, [0, 0, 0], 1);
    assert.ok(inFlight() >= 20 && inFlight() <= 32, `${inFlight()}`);
    await new Promise(setImmediate);
    for (let round = 0; round < 5; round += 1) {
      for (const permit of permits.splice(0)) permit.release();
      await new Promise(setImmediate);
    }
    assert.equal(inFlight(), 0);
  });

  test('parts of a limit: enough for all, max-min where not, and never nothing', () => {
    assert.equal(shareOf(90, 0, [0, 0]), 30);
    assert.equal(shareOf(90, 60, [0, 0]), 70);
    assert.equal(shareOf(90, 100, [10, 0]), 80);
    assert.equal(shareOf(90, 10, [100, 100]), 10);
    assert.equal(shareOf(90, 100, [100, 100]), 30);
    assert.equal(shareOf(100, 0, [100, 100]), 1);
  });

  test('nonsense that another host says asks for nothing', () => {
    const admission = createAdmission({ now: () => 0 });
    for (const said of ['', 'null', '[]', '{"a":1}', '{"account":[1e999,-1,0]}', '{"account":["x",{}]}'])
      admission.shares.hear([said]);
    assert.ok('release' in admission.admit(rate, 1_000));
  });
});
