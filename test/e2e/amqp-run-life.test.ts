/** `isolambda run` through signals and deaths, and what it leaves behind: replies, profiles, spans. Real process, jail and broker. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LambdaError, type RpcClient } from '../../src/client/rpc.ts';
import { tempFolder } from '../cli-process.ts';
import { client, deleteQueues, newQueueName, ready, until } from '../integration/amqp-serving.ts';
import { otlpReceiver } from '../otlp-receiver.ts';
import { descendants, startRun } from '../run-process.ts';

const SLOW = `
let running = 0;
export async function lambda_handler(event: any, context: any): Promise<unknown> {
  if (event === 'running') return running;
  running++;
  // What runs for the second time has waited enough.
  if (!context.redelivered) await new Promise((resolve) => setTimeout(resolve, event.ms));
  running--;
  return { n: event.n, redelivered: context.redelivered };
}
`;
const IN_FLIGHT = 200;

/** 200 calls that are all in their handlers. */
async function inFlight(
  rpc: RpcClient,
  queue: string,
  ms: number,
): Promise<{ calls: Promise<unknown>[]; settled: () => number }> {
  let settled = 0;
  const calls = Array.from({ length: IN_FLIGHT }, (_, n) => rpc.call(queue, { n, ms }));
  for (const call of calls)
    call.then(
      () => settled++,
      () => settled++,
    );
  await until('all are in flight', async () => (await rpc.call(queue, 'running')) === IN_FLIGHT);
  return { calls, settled: () => settled };
}

describe('isolambda run: signals and deaths', { concurrency: 2 }, () => {
  test('SIGTERM with 200 slow calls in flight: all replied, exit 0', async (t) => {
    const cwd = tempFolder(t, { 'slow.ts': SLOW });
    const run = await startRun(t, { cwd, args: ['slow.ts', '--concurrency', String(IN_FLIGHT + 1)] });
    const { calls, settled } = await inFlight(client(t, run.url), run.queue, 5_000);
    assert.equal(settled(), 0, 'the signal comes while all run');
    const end = run.stop('SIGTERM');
    assert.deepEqual(
      await Promise.all(calls),
      Array.from({ length: IN_FLIGHT }, (_, n) => ({ n, redelivered: false })),
    );
    assert.deepEqual(await end, { code: 0, signal: null });
    assert.match(run.out(), new RegExp(`(\\d+) received, \\1 replied, 0 of them with an error`));
  });

  test('SIGTERM: what does not end within --grace goes back to a durable queue; exit 0', async (t) => {
    const queue = newQueueName();
    const cwd = tempFolder(t, { 'slow.ts': SLOW });
    const run = await startRun(t, { cwd, queue, args: ['slow.ts', '--durable', '--grace', '100'] });
    t.after(() => deleteQueues(run.url, [queue]));
    const rpc = client(t, run.url);
    const calls = [0, 1, 2].map((n) => rpc.call(queue, { n, ms: 600_000 }));
    await until('all run', async () => (await rpc.call(queue, 'running')) === 3);
    assert.equal((await run.stop()).code, 0);
    await until('all are back', async () => (await ready(run.url, queue)) === 3);
    await startRun(t, { cwd, queue, args: ['slow.ts', '--durable'] });
    assert.deepEqual(
      await Promise.all(calls),
      [0, 1, 2].map((n) => ({ n, redelivered: true })),
    );
  });

  test('SIGTERM during the start: nothing is served, nothing stays behind, exit 0', async (t) => {
    // A broker that takes connections and says nothing keeps it starting.
    const silent = createTcpServer().listen(0, '127.0.0.1');
    t.after(() => silent.close());
    await once(silent, 'listening');
    const connected = once(silent, 'connection');
    const url = `amqp://guest:guest@127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const starting = startRun(t, { url });
    await connected;
    const refused = assert.rejects(starting, /ended with 0 before it served/);
    const run = descendants(process.pid).find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(url),
    );
    assert.ok(run !== undefined);
    process.kill(run, 'SIGTERM');
    await refused;
  });

  test('SIGKILL of the runner with 200 in flight: each is retried once or answered with an error, none is lost', async (t) => {
    const cwd = tempFolder(t, { 'slow.ts': SLOW });
    const run = await startRun(t, { cwd, args: ['slow.ts', '--concurrency', String(IN_FLIGHT + 1)] });
    const { calls, settled } = await inFlight(client(t, run.url), run.queue, 600_000);
    assert.equal(settled(), 0);
    const runners = descendants(run.pid);
    assert.ok(runners.length > 0);
    // The spares with it: what is retried waits for the next boot.
    for (const pid of runners.reverse()) process.kill(pid, 'SIGKILL');
    let retried = 0;
    for (const [n, ended] of (await Promise.allSettled(calls)).entries())
      if (ended.status === 'fulfilled') {
        assert.deepEqual(ended.value, { n, redelivered: true });
        retried++;
      } else assert.ok(ended.reason instanceof LambdaError, String(ended.reason));
    assert.ok(retried > IN_FLIGHT / 2, `${retried} were retried`);
    assert.deepEqual(await run.stop(), { code: 0, signal: null });
  });

  test('-p: a .cpuprofile with the files and lines of the lambda', async (t) => {
    const cwd = tempFolder(t, {
      'work/main.ts': "import { sieve } from './parts/sieve.ts';\nexport const lambda_handler = sieve;\n",
      'work/parts/sieve.ts': `// A line, so that the next ones have numbers that only a source map knows.
export function sieve(limit: number): number {
  let primes = 0;
  for (let n = 2; n < limit; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (prime) primes++;
  }
  return primes;
}
`,
    });
    const run = await startRun(t, { cwd, args: ['-p', 'work/main.ts'] });
    const rpc = client(t, run.url);
    assert.equal(await rpc.call(run.queue, 200_000), 17_984);
    // Each entry is cheap to profile: the runner lives through many.
    const limits = Array.from({ length: 500 }, (_, n) => n % 3);
    assert.deepEqual(
      new Set(await Promise.all(limits.map((limit) => rpc.call(run.queue, limit)))),
      new Set([0]),
    );
    assert.doesNotMatch(run.log(), /runner died/);
    assert.equal((await run.stop()).code, 0);
    const [, file = ''] = /profile: (\S+\.cpuprofile)/.exec(run.out()) ?? [];
    const profile = JSON.parse(readFileSync(join(cwd, file), 'utf8')) as {
      nodes: {
        id: number;
        children: number[];
        callFrame: { functionName: string; url: string; lineNumber: number };
      }[];
      samples: number[];
      timeDeltas: number[];
      startTime: number;
      endTime: number;
    };
    const hot = profile.nodes.filter(({ callFrame }) => callFrame.functionName === 'sieve');
    assert.ok(hot.length > 0);
    for (const { callFrame } of hot) {
      assert.match(callFrame.url, /parts\/sieve\.ts$/);
      assert.equal(callFrame.lineNumber, 1, 'lines count from 0');
    }
    const ids = new Set(profile.nodes.map(({ id }) => id));
    assert.ok(profile.samples.length > 10 && profile.samples.every((id) => ids.has(id)));
    assert.ok(profile.nodes.every(({ children }) => children.every((id) => ids.has(id))));
    assert.equal(profile.timeDeltas.length, profile.samples.length);
    assert.ok(profile.startTime < profile.endTime && profile.timeDeltas.every((delta) => delta >= 0));
    const sampled = new Set(hot.map(({ id }) => id));
    assert.ok(profile.samples.filter((id) => sampled.has(id)).length > profile.samples.length / 4);
  });

  test('-t: spans of consumer, invoke and producer, below the span of the caller, in each form of header', async (t) => {
    const otlp = await otlpReceiver(t);
    const cwd = tempFolder(t, {
      'traced.ts': 'export const lambda_handler = (_event: unknown, { traceparent }: any) => traceparent;\n',
    });
    const run = await startRun(t, {
      cwd,
      args: ['-t', 'traced.ts'],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.origin },
    });
    const rpc = client(t, run.url);
    const parent = 'b7ad6b7169203331';
    for (const [name, traceId, header] of [
      ['traceparent', '0af7651916cd43dd8448eb211c80319c', `00-0af7651916cd43dd8448eb211c80319c-${parent}-01`],
      ['uber-trace-id', '00000000000000000af7651916cd43dd', `af7651916cd43dd:${parent}:0:1`],
      [
        'X-Amzn-Trace-Id',
        '5759e988bd862e3fe1be46a994272793',
        `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=${parent};Sampled=1`,
      ],
    ] as const) {
      const { body, headers } = await rpc.request(run.queue, 1, { headers: { [name]: header } });
      const told = JSON.parse(body.toString()) as string;
      await until(
        `the spans of ${name}`,
        () => otlp.spans.filter((span) => span.traceId === traceId).length === 3,
      );
      // OTLP's numbers: CONSUMER 5, INTERNAL 1, PRODUCER 4.
      const [consumer, invoke, producer] = [5, 1, 4].map((kind) =>
        otlp.spans.find((span) => span.traceId === traceId && span.kind === kind),
      );
      assert.equal(consumer?.parentSpanId, parent, name);
      assert.equal(invoke?.name, 'invoke');
      assert.equal(invoke?.parentSpanId, consumer?.spanId);
      assert.equal(producer?.parentSpanId, consumer?.spanId);
      assert.equal(told, `00-${traceId}-${invoke?.spanId}-01`, 'the handler may go on below its own span');
      assert.equal(headers.traceparent, `00-${traceId}-${producer?.spanId}-01`);
    }
    assert.equal((await run.stop()).code, 0);
  });
});
