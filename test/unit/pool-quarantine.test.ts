import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { Quarantine } from '../../src/pool/quarantine.ts';
import { ManualClock } from './manual-clock.ts';

describe('quarantine', () => {
  it('comes with the third kill in a minute, not with the second', () => {
    const clock = new ManualClock();
    const quarantine = new Quarantine(clock);
    assert.equal(quarantine.kill('v'), false);
    clock.advance(29_000);
    assert.equal(quarantine.kill('v'), false);
    assert.equal(quarantine.remainingMs('v'), 0);
    clock.advance(30_000);
    assert.equal(quarantine.kill('v'), true);
    assert.equal(quarantine.remainingMs('v'), 10_000);
    assert.equal(quarantine.remainingMs('other'), 0);
  });

  it('does not come where the kills are more than a minute apart', () => {
    const clock = new ManualClock();
    const quarantine = new Quarantine(clock);
    for (let kill = 0; kill < 10; kill++) {
      assert.equal(quarantine.kill('v'), false);
      clock.advance(30_001);
    }
  });

  it('doubles with each kill after it, up to a quarter of an hour', () => {
    const clock = new ManualClock();
    const quarantine = new Quarantine(clock);
    for (let kill = 0; kill < 3; kill++) quarantine.kill('v');
    const lengths = [quarantine.remainingMs('v')];
    for (let round = 0; round < 8; round++) {
      clock.advance(quarantine.remainingMs('v'));
      assert.equal(quarantine.remainingMs('v'), 0);
      assert.equal(quarantine.kill('v'), true);
      lengths.push(quarantine.remainingMs('v'));
    }
    assert.deepEqual(lengths.slice(0, 4), [10_000, 20_000, 40_000, 80_000]);
    assert.equal(lengths.at(-1), 15 * 60_000);
  });

  it('is forgotten after ten good minutes', () => {
    const clock = new ManualClock();
    const quarantine = new Quarantine(clock);
    for (let kill = 0; kill < 3; kill++) quarantine.kill('v');
    clock.advance(10_000 + 10 * 60_000 + 1);
    quarantine.sweep();
    assert.equal(quarantine.kill('v'), false);
  });

  it('counts a runner that two calls of a quarantined version took down once', () => {
    const clock = new ManualClock();
    const quarantine = new Quarantine(clock);
    for (let kill = 0; kill < 3; kill++) quarantine.kill('v');
    assert.equal(quarantine.kill('v'), false);
    assert.equal(quarantine.remainingMs('v'), 10_000);
  });
});
