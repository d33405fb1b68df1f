/**
 * `npm run test:soak [-- --cycles 10000]`: create, invoke, crash, delete, over and over, on one host. At the end its
 * resident memory, descriptors and children must be where they began, within 10 percent.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { callMain, deploy, startTestHost, type TestHost } from '../host.ts';

/** As a lambda's heap is filled, its loop cut off, and V8 made to give up: the ends that leave most to clear away. */
const CRASHES: readonly { readonly main: string; readonly status: readonly number[] }[] = [
  { main: 'for (;;);', status: [504] },
  { main: 'const all = []; for (;;) all.push(new Array(10_000).fill(all.length));', status: [507, 504, 503] },
  { main: 'throw new Error("crash");', status: [500] },
  { main: 'await new Promise(() => {});', status: [504] },
];
const LANES = 2;
/** Cycles before the start is measured: caches fill, spare runners come. */
const WARM_UP = 40;
const TOLERANCE = 0.1;
/** What a figure may grow by however small it was: a few descriptors of connections that are kept open. */
const SLACK = { residentMb: 15, descriptors: 8, children: 1 } as const;

interface Held {
  readonly residentMb: number;
  readonly descriptors: number;
  readonly children: number;
}

const { values } = parseArgs({ options: { cycles: { type: 'string', default: '100' } } });
const cycles = Number(values.cycles);
const host = await startTestHost();
try {
  await run(WARM_UP);
  const start = await held(host);
  console.log(`after ${WARM_UP} cycles: ${shown(start)}`);
  await run(cycles, (done) => {
    if (done % Math.ceil(cycles / 10) === 0) console.log(`${done} of ${cycles} cycles`);
  });
  const end = await held(host);
  console.log(`after ${cycles} more: ${shown(end)}`);
  for (const key of ['residentMb', 'descriptors', 'children'] as const) {
    const most = Math.max(start[key] * (1 + TOLERANCE), start[key] + SLACK[key]);
    assert.ok(end[key] <= most, `${key} grew from ${start[key]} to ${end[key]}; at most ${most} was allowed`);
  }
} finally {
  await host.stop();
}

async function run(count: number, progress: (done: number) => void = () => {}): Promise<void> {
  let next = 0;
  let done = 0;
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      while (next < count) {
        await cycle(next++);
        progress(++done);
      }
    }),
  );
}

/** An account that comes and goes with its lambda, and its runner with it. */
async function cycle(n: number): Promise<void> {
  const { main, status } = CRASHES[n % CRASHES.length]!;
  const { accountId, api } = await host.account({ cpu_ms: 100, timeout_ms: 300, memory_mb: 16 });
  const lambdaId = await deploy(
    api,
    `export async function main(request: any) { if (request.json?.well) return ${n}; ${main} }`,
  );
  const well = await callMain(api, lambdaId, { well: true });
  assert.equal(well.json, n, well.text);
  const crashed = await callMain(api, lambdaId, {});
  assert.ok(status.includes(crashed.statusCode), `${main} ended with ${crashed.statusCode} ${crashed.text}`);
  await api.deleteLambda({ lambdaId });
  await host.operator.deleteAccount(accountId);
}

/** The least of several looks: a collection of garbage, a runner on its way out and an idle connection are not held. */
async function held({ process: { pid } }: TestHost): Promise<Held> {
  let least: Held = { residentMb: Infinity, descriptors: Infinity, children: Infinity };
  for (let look = 0; look < 10; look += 1) {
    await pause(1_000);
    const now = {
      residentMb:
        Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      children: readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).length,
    };
    least = {
      residentMb: Math.min(least.residentMb, now.residentMb),
      descriptors: Math.min(least.descriptors, now.descriptors),
      children: Math.min(least.children, now.children),
    };
  }
  return least;
}

function shown({ residentMb, descriptors, children }: Held): string {
  return `${residentMb.toFixed(1)} MB resident, ${descriptors} descriptors, ${children} children`;
}
