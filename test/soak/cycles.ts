/**
 * `npm run test:soak [-- --cycles 10000]`: a lambda is deployed, called, crashed and deleted, over and over, on one host, by accounts
 * that come and go. At the end what the host holds must be what it held at the start, within 10 percent. It is looked at ten
 * times on the way; one JSON line a look.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { archiveOf, callMain, deploy, startTestHost, type TestAccount } from '../host.ts';
import { LambdaApiError, LambdaStateError } from '../../src/client/index.ts';
import { COLLECTS, heldBy, HELD, type Held } from './held.ts';

/** Ends that leave most to clear away: a full heap, a loop cut off, V8 giving up, a promise and a caller that never come back. */
const CRASHES: readonly { readonly main: string; readonly status: readonly number[] }[] = [
  { main: 'for (;;);', status: [504] },
  { main: 'const all = []; for (;;) all.push(new Array(10_000).fill(all.length));', status: [507, 504, 503] },
  { main: 'throw new Error("crash");', status: [500] },
  { main: 'await new Promise(() => {});', status: [504] },
  { main: 'const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1));', status: [507, 504, 503, 500] },
  { main: 'for (;;) console.log("x".repeat(1_000));', status: [504, 507] },
];
/** An account, and its runner with it, goes after so many lambdas. */
const CYCLES_PER_ACCOUNT = 4;
/** Every so many cycles the account uploads what is refused, and a second version; and a caller goes away. */
const REFUSED_EVERY = 5;
const UPDATE_EVERY = 7;
const ABORT_EVERY = 3;
const LIMITS = { cpu_ms: 100, timeout_ms: 4_000, startup_ms: 20_000, memory_mb: 16 };
const TOLERANCE = 0.1;
/** What a figure may grow by however small it was: a few descriptors of connections that are kept open. */
const SLACK: Held = {
  residentMb: 15,
  heapMb: 8,
  descriptors: 8,
  children: 1,
  descendants: 2,
  timers: 8,
  temporaryFiles: 1,
  dataFiles: 8,
};
const STAGES = 10;
const LOOKS = 10;
const LOOKS_BETWEEN = 3;
const MAX_SHOWN = 10;
/** Of the host's log, beside each. */
const SHOWN_CHARS = 4_000;

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '100' },
    /** Before the start is measured: caches fill, the heap takes its size, spare runners come. */
    'warm-up': { type: 'string', default: '60' },
    /** Cycles at a time. Most of a cycle is waiting: for a build, a boot, a deadline. */
    lanes: { type: 'string', default: '8' },
  },
});
const [cycles, warmUp, lanes] = [values.cycles, values['warm-up'], values.lanes].map(Number) as [
  number,
  number,
  number,
];
const unexpected: string[] = [];
const temporary = await mkdtemp(join(tmpdir(), 'isolambda-soak-'));
const host = await startTestHost({
  env: { TMPDIR: temporary, NODE_OPTIONS: COLLECTS },
  flags: { 'sandbox-spare-runners': '4' },
});
const held = (looks: number): Promise<Held> => heldBy(host, temporary, looks);
try {
  await run(0, warmUp);
  const start = await held(LOOKS);
  say(0, start);
  const began = performance.now();
  const step = Math.ceil(cycles / STAGES);
  let end = start;
  for (let done = 0; done < cycles; done += step) {
    const until = Math.min(cycles, done + step);
    await run(warmUp + done, warmUp + until);
    end = await held(until === cycles ? LOOKS : LOOKS_BETWEEN);
    say(until, end, began);
  }
  assert.equal(unexpected.length, 0, `${unexpected.length} cycles went wrong`);
  for (const key of HELD) {
    const most = Math.max(start[key] * (1 + TOLERANCE), start[key] + SLACK[key]);
    assert.ok(end[key] <= most, `${key} grew from ${start[key]} to ${end[key]}; at most ${most} was allowed`);
  }
} finally {
  await host.stop();
  await rm(temporary, { recursive: true, force: true });
}

async function run(from: number, until: number): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (next < until) {
        const first = next;
        next = Math.min(until, first + CYCLES_PER_ACCOUNT);
        await withAccount(first, next);
      }
    }),
  );
}

async function withAccount(from: number, until: number): Promise<void> {
  const account = await host.account(LIMITS);
  try {
    for (let n = from; n < until; n += 1) await cycle(n, account).catch((error: unknown) => wrong(n, error));
  } finally {
    await host.operator.deleteAccount(account.accountId);
  }
}

/** Told, and counted; where the host itself is gone, thrown on. */
function wrong(n: number, error: unknown): void {
  if (host.process.exitCode !== null || host.process.signalCode !== null) throw error;
  unexpected.push(`cycle ${n}: ${String(error)}`);
  if (unexpected.length <= MAX_SHOWN)
    console.error(`${unexpected.at(-1)}\nthe host said:\n${host.errorText().slice(-SHOWN_CHARS)}`);
}

async function cycle(n: number, { api, accountId, token }: TestAccount): Promise<void> {
  const { main, status } = CRASHES[n % CRASHES.length]!;
  const source = (reply: number): string =>
    `export async function main(request: any) { if (request.json?.well) return ${reply}; ${main} }`;
  const lambdaId = await deploy(api, source(n));
  const isWell = async (reply: number): Promise<void> => {
    const well = await callMain(api, lambdaId, { well: true });
    assert.equal(well.json, reply, well.text);
  };
  await isWell(n);
  if (n % REFUSED_EVERY === 0) await uploadWhatIsRefused(api);
  const crashed = await callMain(api, lambdaId, {});
  assert.ok(status.includes(crashed.statusCode), `${main} ended with ${crashed.statusCode} ${crashed.text}`);
  if (n % ABORT_EVERY === 0) await callAndLeave(lambdaId, token);
  if (n % UPDATE_EVERY === 0) {
    await api.updateLambda({ lambdaId, archive: archiveOf({ 'lambda_main.ts': source(n + 1) }) });
    await api.waitUntilRunning(lambdaId);
    await isWell(n + 1);
  }
  await api.deleteLambda({ lambdaId });
  assert.equal((await host.operator.getUsage(accountId)).statusCode, 200);
}

/** On a busy machine the answer comes before the build has ended: then the lambda is there, and failed. */
async function uploadWhatIsRefused(api: TestAccount['api']): Promise<void> {
  const refused = await api
    .createLambda({
      archive: archiveOf({ 'lambda_main.ts': 'export const main = ;' }),
      parameters: { lambda_type: 'standalone' },
    })
    .then(({ json }) => api.waitUntilRunning(json.lambda_id))
    .catch((error: unknown) => error);
  assert.ok(refused instanceof LambdaApiError || refused instanceof LambdaStateError, String(refused));
}

async function callAndLeave(lambdaId: string, token: string): Promise<void> {
  const call = fetch(`${host.origin}/1/lambdas/${lambdaId}/proxy/main`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{}',
    signal: AbortSignal.timeout(20),
  });
  await call.then((response) => response.arrayBuffer()).catch(() => undefined);
}

function say(done: number, now: Held, began?: number): void {
  const perS = began === undefined ? {} : { perS: round(done / ((performance.now() - began) / 1_000)) };
  const shown = Object.fromEntries(Object.entries(now).map(([key, value]) => [key, round(value)]));
  console.log(JSON.stringify({ cycles: done, ...shown, unexpected: unexpected.length, ...perS }));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
