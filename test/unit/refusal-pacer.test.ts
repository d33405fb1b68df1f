import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusalPacer } from '../../src/gateway/http/refusal-pacer.ts';

test('the first fifty refusals of a second go at once, later ones of that account wait, spread over a second', () => {
  let now = 5_000;
  const pacer = new RefusalPacer(
    () => now,
    () => 0.25,
  );
  for (let n = 0; n < 50; n += 1) assert.equal(pacer.delayMs('flood'), 0);
  assert.equal(pacer.delayMs('flood'), 750);
  assert.equal(pacer.delayMs('another'), 0);
  now += 999;
  assert.equal(pacer.delayMs('flood'), 750);
  now += 1;
  assert.equal(pacer.delayMs('flood'), 0);
});
