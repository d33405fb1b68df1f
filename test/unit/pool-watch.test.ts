import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import type { ProcessReading } from '../../src/pool/process-gauge.ts';
import { parseStat } from '../../src/pool/process-gauge.ts';
import { Watch, type Watched } from '../../src/pool/watch.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { ManualClock } from './manual-clock.ts';

const MiB = 1024 * 1024;

/** A runner that a test plays: what its process shows, whether it answers, and what was done to it. */
function play(limits: { cores?: number; residentMb?: number; busy?: boolean } = {}) {
  const clock = new ManualClock();
  const process = { state: 'S', cpuMs: 0, threads: 12, residentBytes: 60 * MiB };
  const played = {
    answers: true,
    busy: limits.busy ?? true,
    stopped: false,
    signals: [] as string[],
    weights: [] as string[],
    killed: '',
    pings: 0,
    grown: 0,
    mayHoldUpMs: 0,
    process,
    clock,
  };
  let pongs: (() => void)[] = [];
  const watched: Watched = {
    residentLimitBytes: (limits.residentMb ?? 512) * MiB,
    cores: limits.cores ?? 1,
    lastThrottledMs: 0,
    gauge: () => ({
      read: (): ProcessReading => ({ ...process }),
      signal: (name) => {
        played.signals.push(name);
        played.stopped = name === 'SIGSTOP';
        return true;
      },
      weigh: (weight) => played.weights.push(weight) > 0,
      close: () => undefined,
    }),
    busy: () => played.busy,
    mayHoldUpMs: () => played.mayHoldUpMs,
    ping: (onPong) => {
      played.pings++;
      pongs.push(onPong);
    },
    kill: (cause) => {
      played.killed ||= cause;
      watch.remove(watched);
    },
  };
  const watch = new Watch({ clock, log: createLog('silent'), onGrown: () => played.grown++ });
  watch.add(watched);
  const run = (ms: number, coresUsed = 0): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      if (!played.stopped) process.cpuMs += coresUsed * 100;
      if (played.answers && !played.stopped) pongs.splice(0).forEach((each) => each());
      clock.advance(100);
    }
  };
  const pongsLater = (): void => pongs.splice(0).forEach((each) => each());
  return { played, watched, watch, run, pongsLater, forget: () => (pongs = []) };
}

describe('the watch', () => {
  it('pings a busy runner twice a second, an idle one seldom', () => {
    const busy = play();
    busy.run(10_000);
    assert.ok(busy.played.pings >= 15 && busy.played.pings <= 20, `${busy.played.pings} pings`);
    const idle = play({ busy: false });
    idle.run(10_000);
    assert.ok(idle.played.pings <= 1, `${idle.played.pings} pings`);
    assert.equal(idle.played.killed, '');
  });

  it('kills a runner that does not answer for a second', () => {
    const { played, run } = play();
    played.answers = false;
    run(1400);
    assert.equal(played.killed, '');
    run(400);
    assert.equal(played.killed, 'unresponsive');
  });

  it('does not hold a pause of the host against its runners', () => {
    const { played, run, pongsLater } = play();
    played.answers = false;
    run(700);
    played.clock.skip(60_000);
    run(200);
    assert.equal(played.killed, '');
    pongsLater();
    played.answers = true;
    run(3000);
    assert.equal(played.killed, '');
  });

  it('takes one that is ready to run and gets no CPU for starved, one that computes for stuck', () => {
    const starved = play();
    starved.played.answers = false;
    starved.played.process.state = 'R';
    starved.run(5000, 0.1);
    assert.equal(starved.played.killed, '');
    starved.run(8000, 0.1);
    assert.equal(starved.played.killed, 'unresponsive');
    const stuck = play({ cores: 4 });
    stuck.played.answers = false;
    stuck.played.process.state = 'R';
    stuck.run(2000, 1);
    assert.equal(stuck.played.killed, 'unresponsive');
  });

  it('lets a call hold its runner up for the CPU that it may use, from soon after it began to compute, and no longer', () => {
    const { played, run } = play();
    run(2_000, 0.1);
    played.mayHoldUpMs = 1_000;
    played.answers = false;
    played.process.state = 'R';
    run(1_000, 1);
    assert.equal(played.killed, '');
    run(400, 1);
    assert.equal(played.killed, 'cpu_limit');
  });

  it('takes a call for computing that waits for a processor, and one for stuck that does not want any', () => {
    const slowly = play();
    slowly.played.mayHoldUpMs = 5_000;
    slowly.played.answers = false;
    slowly.played.process.state = 'R';
    slowly.run(20_000, 0.1);
    assert.equal(slowly.played.killed, '');
    const asleep = play();
    asleep.played.mayHoldUpMs = 5_000;
    asleep.played.answers = false;
    asleep.run(2_000);
    assert.equal(asleep.played.killed, 'unresponsive');
  });

  it('does not hold the CPU of a runner against a call while the runner answers', () => {
    const { played, run } = play({ cores: 2 });
    played.mayHoldUpMs = 1_000;
    played.process.state = 'R';
    run(10_000, 1.5);
    assert.equal(played.killed, '');
  });

  it('kills above the memory limit, not at it', () => {
    const { played, run } = play({ residentMb: 100 });
    played.process.residentBytes = 100 * MiB;
    run(500);
    assert.equal(played.killed, '');
    played.process.residentBytes += 4096;
    run(100);
    assert.equal(played.killed, 'memory_limit');
  });

  it('finds an idle one above its memory limit too', () => {
    const { played, run } = play({ residentMb: 100, busy: false });
    played.process.residentBytes = 200 * MiB;
    run(1200);
    assert.equal(played.killed, 'memory_limit');
  });

  it('has one that stays grown replaced, once', () => {
    const { played, run } = play({ residentMb: 100 });
    played.process.residentBytes = 85 * MiB;
    run(500);
    assert.equal(played.grown, 0);
    run(3000);
    assert.equal(played.grown, 1);
    assert.equal(played.killed, '');
  });

  it('kills one that makes threads without end', () => {
    const { played, run } = play();
    played.process.threads = 257;
    run(100);
    assert.equal(played.killed, 'threads');
  });

  for (const [cores, uses] of [
    [1, 2],
    [0.5, 2],
    [0.1, 1],
  ] as const)
    it(`holds ${uses} cores of computing to ${cores}`, () => {
      const { played, run } = play({ cores });
      run(60_000, uses);
      const share = played.process.cpuMs / 60_000;
      assert.ok(share > cores * 0.8 && share < cores * 1.2 + 0.05, `took ${share} cores`);
      assert.equal(played.killed, '', 'being held back is not silence');
      assert.ok(played.signals.includes('SIGSTOP') && played.signals.includes('SIGCONT'));
    });

  it('leaves one alone that stays within its share', () => {
    const { played, run } = play({ cores: 1 });
    run(30_000, 0.95);
    assert.deepEqual(played.signals, []);
  });

  it('lets an idle account save up for a burst, of a second at most', () => {
    const { played, run } = play({ cores: 1 });
    run(60_000, 0);
    run(900, 2);
    assert.deepEqual(played.signals, []);
    run(600, 2);
    assert.deepEqual(played.signals[0], 'SIGSTOP');
  });

  it('lets one that computes on and on yield, until it has been quiet', () => {
    const { played, run } = play({ cores: 2 });
    run(500, 1);
    run(60_000, 0.4);
    assert.deepEqual(played.weights, [], 'a moment, or less than half a core, is nothing');
    run(1_500, 1);
    assert.deepEqual(played.weights, ['yielding']);
    run(5_000, 0.3);
    assert.deepEqual(played.weights, ['yielding'], 'between the two bounds it stays as it is');
    played.busy = false;
    run(5_000, 0);
    assert.deepEqual(played.weights, ['yielding', 'usual']);
    assert.deepEqual(played.signals, []);
  });

  it('has no timer when it watches nothing', () => {
    const { played, watch, watched } = play();
    watch.remove(watched);
    played.clock.advance(200);
    assert.equal(played.clock.timers, 0);
  });
});

describe('/proc/<pid>/stat', () => {
  it('is read from behind a name with spaces and parentheses', () => {
    const fields = Array.from({ length: 50 }, (_, index) => String(index + 4));
    const reading = parseStat(`7 (a ) R (b) S ${fields.join(' ')}`);
    assert.equal(reading?.state, 'S');
    assert.equal(reading?.cpuMs, (14 + 15) * 10);
    assert.equal(reading?.threads, 20);
    assert.ok(reading && reading.residentBytes % 24 === 0);
  });
  it('that is cut short is nothing', () => assert.equal(parseStat('7 (x) S 1 2'), undefined));
});
