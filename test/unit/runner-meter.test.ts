import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Marker, SHARED_SLOTS } from '../../sandbox/bridge/wire.ts';
import { Meter, type Metered } from '../../sandbox/runner/meter.ts';

const LIMIT_MS = 100;

/** A meter over one invocation that runs, with clocks that the test sets; microseconds. */
function metered(): { meter: Meter; flight: Metered; clocks: { isolate: number; process: number } } {
  const clocks = { isolate: 0, process: 5_000_000 };
  const marker = new Int32Array(SHARED_SLOTS);
  const flight: Metered = { id: 7, entered: true, cpuUs: 0 };
  const meter = new Meter({
    cpuTime: () => BigInt(clocks.isolate) * 1_000n,
    processUs: () => clocks.process,
    now: () => 0,
    marker,
    flights: new Map([[flight.id, flight]]),
    limitMs: LIMIT_MS,
  });
  // What the process used before this entry, its own boot included, says nothing of the entry.
  meter.beginEntry();
  marker[Marker.running] = flight.id;
  marker[Marker.touched] = 1;
  marker[Marker.firstTouched] = flight.id;
  flight.cpuUs = 0;
  return { meter, flight, clocks };
}

test('an invocation is charged for CPU, not for the time that it waited for a processor', () => {
  const { meter, flight, clocks } = metered();
  for (let tick = 0; tick < 20; tick += 1) {
    clocks.isolate += 50_000;
    clocks.process += 4_000;
    assert.equal(meter.sample(), undefined, `at tick ${tick}`);
  }
  assert.equal(flight.cpuUs, 80_000);
  // The entry ends: what isolated-vm told by the wall clock gives way to what was used.
  clocks.isolate -= 920_000;
  meter.sample();
  assert.equal(flight.cpuUs, 80_000);
});

test('an invocation that computes is charged for all of it, and named when it is over the limit', () => {
  const { meter, flight, clocks } = metered();
  let breach = meter.sample();
  for (let tick = 0; tick < 11 && breach === undefined; tick += 1) {
    clocks.isolate += 10_000;
    clocks.process += 12_000;
    breach = meter.sample();
  }
  assert.deepEqual(breach, { culprit: flight.id, background: false });
  assert.equal(flight.cpuUs, 110_000);
});
