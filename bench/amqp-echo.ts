/** RPC through a product, through amqplib alone, and through amqplib with a bare process behind it, in turn on the same broker and machine. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { median } from './statistics.ts';

export interface EchoFigures {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface EchoResult {
  readonly inFlight: number;
  readonly product: EchoFigures;
  readonly peer: EchoFigures;
  readonly againstPeer: Ratios;
  /** The peer with a process behind it, over the peer: what a process wall costs by itself. */
  readonly wallAgainstPeer: Ratios;
}

/** One over the other, of each turn. */
export interface Ratios {
  /** More is better. */
  readonly rate: readonly number[];
  /** Less is better. */
  readonly p50: readonly number[];
}

export interface EchoOptions {
  readonly url: string;
  /** Arguments of Node that serve a queue: what it starts prints a line when it serves, and ends on SIGTERM. */
  readonly product: (queue: string) => readonly string[];
  readonly pairs: number;
  readonly calls: number;
  readonly inFlight: number;
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/**
 * For each turn starts all servers, warms them up, loads them one after the other, and compares. Anew for each, because what V8 makes of
 * the same code differs by a tenth from one process to the next.
 */
export async function amqpEcho(options: EchoOptions): Promise<EchoResult> {
  const turns: Turn[] = [];
  for (let pair = 0; pair < options.pairs; pair++) turns.push(await measureTurn(options, pair));
  return {
    inFlight: options.inFlight,
    product: medians(turns.map(({ product }) => product)),
    peer: medians(turns.map(({ peer }) => peer)),
    againstPeer: ratios(turns.map(({ product, peer }) => [product, peer])),
    wallAgainstPeer: ratios(turns.map(({ wall, peer }) => [wall, peer])),
  };
}

type Turn = Readonly<Record<'product' | 'peer' | 'wall', EchoFigures>>;

async function measureTurn({ url, product, calls, inFlight }: EchoOptions, pair: number): Promise<Turn> {
  const queue = (name: keyof Turn): string => `bench-${name}-${process.pid}-${pair}`;
  const servers = [
    await serve(product(queue('product'))),
    await serve([script('./amqp-peer.ts'), url, queue('peer')]),
    await serve([script('./amqp-peer.ts'), url, queue('wall'), 'wall']),
  ];
  const loadAll = async (): Promise<Turn> => ({
    product: await load(url, queue('product'), calls, inFlight),
    peer: await load(url, queue('peer'), calls, inFlight),
    wall: await load(url, queue('wall'), calls, inFlight),
  });
  try {
    // Compilers and heaps take their time: the first turn is not counted.
    await loadAll();
    return await loadAll();
  } finally {
    for (const server of servers) await end(server);
  }
}

const ratios = (turns: readonly (readonly [EchoFigures, EchoFigures])[]): Ratios => ({
  rate: turns.map(([one, other]) => one.perSecond / other.perSecond),
  p50: turns.map(([one, other]) => one.p50Us / other.p50Us),
});

async function serve(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await Promise.race([
    once(createInterface(child.stdout), 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${args[0]} ended before it served`))),
  ]);
  child.stdout.resume();
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

export async function load(
  url: string,
  queue: string,
  calls: number,
  inFlight: number,
): Promise<EchoFigures> {
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
