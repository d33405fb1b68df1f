/**
 * CPU of the runner process for each echo request, in batches as the host sends them under load, without a host:
 * `node bench/runner-cpu.ts [tree ...]`. Several source trees (say, one before and one after a change) take turns, and
 * each turn's figures stand beside those of the first tree. `RUNNER_FLAGS` are further flags of Node for the runner.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { FrameType } from '../src/protocol/frame.ts';
import { BareRunner } from './bare-runner.ts';
import { median, percentile } from './statistics.ts';

const BODY = Buffer.from(
  JSON.stringify({ name: 'echo', values: [1, 2, 3], text: 'abcdefghijklmnopqrstuvw' }),
);
const BATCH = Number(process.env['BATCH'] ?? 28);
const TURNS = Number(process.env['TURNS'] ?? 30);
const ROUNDS = Number(process.env['ROUNDS'] ?? 300);
const WARM_UP_ROUNDS = 1_500;
const PROFILE_GUEST = process.env['PROFILE_GUEST'];

interface Cpu {
  /** Microseconds of the process, of its main thread, and of the threads that isolates run on. */
  readonly all: number;
  readonly main: number;
  readonly guest: number;
}

let nextId = 1;
/** Rounds of one batch each; resolves when the last result is there. */
async function rounds(runner: BareRunner, count: number): Promise<void> {
  const { promise, resolve: done } = Promise.withResolvers<undefined>();
  let left = count;
  let open = 0;
  const round = (): void => {
    if (left-- === 0) return done(undefined);
    open = BATCH;
    runner.invoke(nextId, BATCH, BODY);
    nextId += BATCH;
  };
  runner.onFrame = ({ type, head, body: reply }) => {
    if (type !== FrameType.result) return;
    if (reply.length !== BODY.length) throw new Error(`not an echo: ${head}`);
    if (--open === 0) round();
  };
  round();
  await promise;
}

function cpu({ pid }: BareRunner): Cpu {
  const tasks = `/proc/${pid}/task`;
  const mainName = readFileSync(`/proc/${pid}/comm`, 'utf8');
  let [all, main, guest] = [0, 0, 0];
  for (const thread of readdirSync(tasks)) {
    const us = Number(readFileSync(`${tasks}/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
    all += us;
    if (thread === String(pid)) main += us;
    // V8's own threads have names; those of isolated-vm have the name of the thread that made them.
    else if (readFileSync(`${tasks}/${thread}/comm`, 'utf8') === mainName) guest += us;
  }
  return { all, main, guest };
}

async function stop(runner: BareRunner): Promise<void> {
  if (PROFILE_GUEST !== undefined) {
    runner.send(FrameType.unload, 1, 0, { reason: 'shutdown', graceMs: 1_000 });
    writeFileSync(PROFILE_GUEST, (await runner.next(FrameType.unloaded)).body);
  }
  await runner.stop();
}

/** Under other load on the machine the middle of a run's turns wanders; its quarter with the least does so less. */
const least = (values: readonly number[]): number => percentile(values, 0.25);

const trees = process.argv.length > 2 ? process.argv.slice(2) : ['.'];
const runners: { tree: string; runner: BareRunner; all: number[]; main: number[]; guest: number[] }[] = [];
for (const tree of trees) {
  const runner = await BareRunner.start({ tree, flags: process.env['RUNNER_FLAGS']?.split(' ') });
  await runner.load(1, PROFILE_GUEST !== undefined);
  await rounds(runner, WARM_UP_ROUNDS);
  runners.push({ tree, runner, all: [], main: [], guest: [] });
}
for (let turn = 1; turn <= TURNS; turn++) {
  for (const { runner, all, main, guest } of runners) {
    const before = cpu(runner);
    await rounds(runner, ROUNDS);
    const after = cpu(runner);
    const each = (part: keyof Cpu): number => (after[part] - before[part]) / (ROUNDS * BATCH);
    all.push(each('all'));
    main.push(each('main'));
    guest.push(each('guest'));
  }
}
const first = runners[0]!;
for (const { tree, runner, all, main, guest } of runners) {
  const parts = (
    [
      ['all', all],
      ['main thread', main],
      ["isolates' threads", guest],
    ] as const
  )
    .map(([name, values]) => `${name} ${least(values).toFixed(2)} (median ${median(values).toFixed(2)})`)
    .join(', ');
  const ratio = least(all) / least(first.all);
  const paired = median(all.map((value, turn) => value / first.all[turn]!));
  console.log(`${tree}: us of CPU a request: ${parts}; ${ratio.toFixed(3)}x, pairs ${paired.toFixed(3)}x`);
  await stop(runner);
}
