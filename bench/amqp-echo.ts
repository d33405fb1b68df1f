/**
 * amqp-echo: RPC through the product against amqplib alone, in turn (A B A B) on the same broker and machine.
 *
 *     node bench/amqp-echo.ts [--pairs 5] [--calls 60000] [--single 3000] [--product bench/amqp-gateway.ts]
 *
 * `--product` is a script that takes URL and queue, prints a line when it serves, and ends with its input.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export interface EchoFigures {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface EchoResult {
  readonly inFlight: number;
  readonly product: EchoFigures;
  readonly peer: EchoFigures;
  /** Product's rate over the peer's, median of the pairs: more is better. */
  readonly rateRatio: number;
  /** Product's p50 over the peer's, median of the pairs: less is better. */
  readonly p50Ratio: number;
}

export interface EchoOptions {
  readonly url: string;
  readonly product: string;
  readonly pairs: number;
  readonly calls: number;
  readonly inFlight: number;
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Starts both servers, loads them in turn, and compares. */
export async function amqpEcho(options: EchoOptions): Promise<EchoResult> {
  const { url, pairs, calls, inFlight } = options;
  const queues = { product: `bench-product-${process.pid}`, peer: `bench-peer-${process.pid}` };
  const servers = [
    await serve(options.product, url, queues.product),
    await serve(script('./amqp-peer.ts'), url, queues.peer),
  ];
  try {
    const product: EchoFigures[] = [];
    const peer: EchoFigures[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      product.push(await load(url, queues.product, calls, inFlight));
      peer.push(await load(url, queues.peer, calls, inFlight));
    }
    const ratio = (of: (figures: EchoFigures) => number): number =>
      median(product.map((figures, i) => of(figures) / of(peer[i] ?? figures)));
    return {
      inFlight,
      product: medians(product),
      peer: medians(peer),
      rateRatio: ratio((figures) => figures.perSecond),
      p50Ratio: ratio((figures) => figures.p50Us),
    };
  } finally {
    for (const server of servers) await end(server);
  }
}

async function serve(path: string, url: string, queue: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [path, url, queue], { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.race([
    once(createInterface(child.stdout), 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${path} ended before it served`))),
  ]);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.stdin?.end();
  await exit;
}

async function load(url: string, queue: string, calls: number, inFlight: number): Promise<EchoFigures> {
  const child = spawn(
    process.execPath,
    [script('./amqp-load.ts'), url, queue, String(calls), String(inFlight)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exit = once(child, 'exit');
  let output = '';
  for await (const chunk of child.stdout) output += String(chunk);
  const [code] = (await exit) as [number | null];
  if (code !== 0) throw new Error(`the load on ${queue} failed (exit ${code})`);
  return JSON.parse(output) as EchoFigures;
}

function medians(all: readonly EchoFigures[]): EchoFigures {
  return {
    perSecond: Math.round(median(all.map((figures) => figures.perSecond))),
    p50Us: median(all.map((figures) => figures.p50Us)),
    p99Us: median(all.map((figures) => figures.p99Us)),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672' },
      product: { type: 'string', default: script('./amqp-gateway.ts') },
      pairs: { type: 'string', default: '5' },
      calls: { type: 'string', default: '60000' },
      single: { type: 'string', default: '3000' },
    },
  });
  const common = { url: values.url, product: values.product, pairs: Number(values.pairs) };
  const results = [
    await amqpEcho({ ...common, calls: Number(values.calls), inFlight: 500 }),
    await amqpEcho({ ...common, calls: Number(values.single), inFlight: 1 }),
  ];
  for (const result of results)
    process.stdout.write(`${JSON.stringify({ bench: 'amqp-echo', ...result })}\n`);
}
