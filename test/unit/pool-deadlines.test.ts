import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { Deadlines, SLOT_MS, type Expiring } from '../../src/pool/deadlines.ts';
import { ManualClock } from './manual-clock.ts';

function entry(onExpire: () => void): Expiring {
  return { slot: 0, expire: onExpire };
}

describe('deadlines', () => {
  it('tell within a slot of their time, and never before it', () => {
    const clock = new ManualClock(1_000_003);
    const deadlines = new Deadlines(clock);
    const late: number[] = [];
    for (const inMs of [1, 24, 25, 26, 100, 1000, 90_000]) {
      const atMs = clock.now() + inMs;
      deadlines.add(
        entry(() => late.push(clock.now() - atMs)),
        atMs,
      );
    }
    for (let ms = 0; ms < 91_000; ms += 5) clock.advance(5);
    assert.equal(late.length, 7);
    for (const ms of late) assert.ok(ms >= 0 && ms <= 2 * SLOT_MS, `${ms} ms late`);
  });

  it('use one timer for all, and none when nothing waits', () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    const entries = Array.from({ length: 1000 }, () => entry(() => undefined));
    for (const each of entries) deadlines.add(each, clock.now() + 500);
    assert.equal(clock.timers, 1);
    for (const each of entries) deadlines.remove(each);
    assert.equal(deadlines.size, 0);
    clock.advance(1000);
    assert.equal(clock.timers, 0);
  });

  it('that were removed do not tell', () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    const removed = entry(() => assert.fail('expired'));
    deadlines.add(removed, clock.now() + 50);
    deadlines.remove(removed);
    deadlines.remove(removed);
    clock.advance(200);
  });

  it('removed by another of the same moment do not tell', () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    const told: string[] = [];
    const second = entry(() => told.push('second'));
    deadlines.add(
      entry(() => (told.push('first'), deadlines.remove(second))),
      clock.now() + 50,
    );
    deadlines.add(second, clock.now() + 50);
    clock.advance(200);
    assert.deepEqual(told, ['first']);
  });

  it('can be set anew from within', () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    const told: number[] = [];
    const start = clock.now();
    const again: Expiring = entry(() => {
      told.push(clock.now() - start);
      if (told.length < 3) deadlines.add(again, clock.now() + 100);
    });
    deadlines.add(again, start + 100);
    clock.advance(1000);
    assert.equal(told.length, 3);
    assert.ok(told[1]! - told[0]! >= 100 && told[2]! - told[1]! >= 100);
  });

  it('all tell after a pause of the machine', () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    let told = 0;
    for (let inMs = 10; inMs < 5000; inMs += 10)
      deadlines.add(
        entry(() => told++),
        clock.now() + inMs,
      );
    clock.skip(3_600_000);
    clock.advance(100);
    assert.equal(told, 499);
    assert.equal(deadlines.size, 0);
  });
});
