/**
 * CPU for each echo over AMQP, by process, of `isolambda run` beside amqplib alone:
 * `node bench/amqp-cpu.ts [tree ...]`. Several source trees (say, one before and one after a change) take turns with the peer.
 * On a machine with other load CPU is steadier than time: time tells who waits for whom, this tells what it costs.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { load, type EchoFigures } from './amqp-echo.ts';
import { median, percentile } from './statistics.ts';

const URL_OF_BROKER = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672';
const TURNS = Number(process.env['TURNS'] ?? 7);
const IN_FLIGHT = Number(process.env['IN_FLIGHT'] ?? 500);
const CALLS = Number(process.env['CALLS'] ?? (IN_FLIGHT > 1 ? 30_000 : 3_000));
/** Further flags of Node for the host process of a tree. */
const HOST_FLAGS = process.env['HOST_FLAGS']?.split(' ') ?? [];

interface Served {
  readonly name: string;
  readonly queue: string;
  readonly process: ChildProcess;
  readonly turns: Turn[];
}

/** Microseconds of CPU a message. */
interface Turn {
  readonly figures: EchoFigures;
  readonly host: number;
  readonly runner: number;
  /** Of the broker, where it runs on this machine; what others ask of it meanwhile is in it. */
  readonly broker: number;
}

async function serve(name: string, queue: string, args: readonly string[]): Promise<Served> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(createInterface(child.stdout), 'line');
  child.stdout.resume();
  return { name, queue, process: child, turns: [] };
}

/** Microseconds of CPU that all threads of a process have used; 0 where it is gone. */
function cpuUs(pid: number): number {
  try {
    let us = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`))
      us += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
    return us;
  } catch {
    return 0;
  }
}

/** Processes below `pid`: the jail, its runner, spares. */
function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It ended while we looked.
    }
  }
  const isBelow = (each: number | undefined): boolean =>
    each !== undefined && each !== 0 && (each === pid || isBelow(parents.get(each)));
  return [...parents.keys()].filter((each) => each !== pid && isBelow(each));
}

/** RabbitMQ's Erlang machine; 0 where there is none here. */
function brokerPid(): number {
  const isBroker = (entry: string): boolean => {
    try {
      return /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/comm`, 'utf8') === 'beam.smp\n';
    } catch {
      return false;
    }
  };
  return Number(readdirSync('/proc').find(isBroker) ?? 0);
}

const broker = brokerPid();
const trees = process.argv.length > 2 ? process.argv.slice(2) : ['.'];
const all: Served[] = [
  await serve('amqplib alone', `cpu-peer-${process.pid}`, [
    fileURLToPath(new URL('./amqp-peer.ts', import.meta.url)),
    URL_OF_BROKER,
    `cpu-peer-${process.pid}`,
  ]),
];
for (const [index, tree] of trees.entries()) {
  const queue = `cpu-${process.pid}-${index}`;
  const args = [...HOST_FLAGS, resolve(tree, 'src/cli/bin.js'), 'run', '-u', URL_OF_BROKER, '-q', queue];
  all.push(await serve(tree, queue, args));
}
for (let turn = 0; turn <= TURNS; turn++) {
  for (const { queue, process: child, turns } of all) {
    const pid = child.pid ?? 0;
    const below = descendants(pid);
    const sum = (): number => below.reduce((us, each) => us + cpuUs(each), 0);
    const before = [cpuUs(pid), sum(), cpuUs(broker)] as const;
    const figures = await load(URL_OF_BROKER, queue, CALLS, IN_FLIGHT);
    const messages = CALLS + Math.min(CALLS, IN_FLIGHT * 20);
    // The first turn warms up.
    if (turn === 0) continue;
    const [host, runner, ofBroker] = [cpuUs(pid), sum(), cpuUs(broker)].map(
      (us, i) => (us - before[i]!) / messages,
    ) as [number, number, number];
    turns.push({ figures, host, runner, broker: ofBroker });
  }
}
const peer = all[0]!;
for (const { name, process: child, turns } of all) {
  const least = (of: (turn: Served['turns'][number]) => number): string =>
    `${percentile(turns.map(of), 0.25).toFixed(1)} (median ${median(turns.map(of)).toFixed(1)})`;
  const paired = (of: (figures: EchoFigures) => number): string =>
    median(turns.map(({ figures }, i) => of(figures) / of(peer.turns[i]!.figures))).toFixed(3);
  console.log(
    `${name}: us of CPU a message: host ${least(({ host }) => host)}, runner ${least(({ runner }) => runner)}, broker ${least((turn) => turn.broker)}; ` +
      `${Math.round(median(turns.map(({ figures }) => figures.perSecond)))}/s, p50 ${median(turns.map(({ figures }) => figures.p50Us))} us; ` +
      `against amqplib: rate ${paired(({ perSecond }) => perSecond)}x, p50 ${paired(({ p50Us }) => p50Us)}x`,
  );
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}
