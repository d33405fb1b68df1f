/**
 * What an isolate costs, without a host: calls alone and in batches of 32, the load of a small lambda, memory for each
 * isolate. `node bench/isolate.ts`; one JSON line a figure.
 */
import { readFileSync } from 'node:fs';
import { FrameType } from '../src/protocol/frame.ts';
import { BareRunner } from './bare-runner.ts';
import { median } from './statistics.ts';

const BODY = Buffer.from(
  JSON.stringify({ name: 'a name', value: 12345, list: [1, 2, 3], more: 'x'.repeat(10) }),
);
const LOADS = 60;

/** Microseconds a call, with so many sent together. */
function calls(batch: number, rounds: number): Promise<number> {
  return new Promise((resolve) => {
    const began = performance.now();
    let left = rounds;
    let open = 0;
    const round = (): void => {
      if (left-- === 0) return resolve(((performance.now() - began) * 1_000) / (rounds * batch));
      open = batch;
      runner.invoke(1, batch, BODY);
    };
    runner.onFrame = ({ type }) => {
      if (type === FrameType.result && --open === 0) round();
    };
    round();
  });
}

const say = (name: string, value: number, unit: string): void =>
  console.log(JSON.stringify({ bench: 'isolate', name, value: Number(value.toFixed(2)), unit }));
const residentMb = (): number =>
  Number(/Rss:\s+(\d+)/.exec(readFileSync(`/proc/${runner.pid}/smaps_rollup`, 'utf8'))![1]) / 1024;

const runner = await BareRunner.start();
await runner.load(1);
const before = residentMb();
const times: number[] = [];
const wholes: number[] = [];
for (let isolate = 2; isolate < 2 + LOADS; isolate += 1) {
  const began = performance.now();
  const { head: loaded } = await runner.load(isolate);
  wholes.push(performance.now() - began);
  times.push((JSON.parse(loaded) as { ms: number }).ms);
}
say('load, in the runner', median(times), 'ms');
say('load, as the host sees it', median(wholes), 'ms');
say('memory for each isolate', (residentMb() - before) / LOADS, 'MiB');
await calls(32, 300);
for (let turn = 0; turn < 3; turn += 1) {
  say('call alone, round trip', await calls(1, 3_000), 'us');
  say('call in a batch of 32', await calls(32, 500), 'us');
}
await runner.stop();
