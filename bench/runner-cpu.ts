/**
 * CPU of the runner process for each echo request, in batches as the host sends them under load, without a host:
 * `node bench/runner-cpu.ts [tree ...]`. Several source trees (say, one before and one after a change) take turns, and
 * each turn's figures stand beside those of the first tree. `RUNNER_FLAGS` are further flags of Node for the runner.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DEFAULT_LIMITS } from '../src/config/limits.ts';
import type { RunnerImage } from '../src/pool/image.ts';
import { encodeFrame, FrameDecoder, FrameType, PROTOCOL_VERSION, type Frame } from '../src/protocol/frame.ts';
import { median, percentile } from './statistics.ts';

const CODE = '(function(m){"use strict"; return { main: async (request) => request.json }; })';
const BODY = JSON.stringify({ name: 'echo', values: [1, 2, 3], text: 'abcdefghijklmnopqrstuvw' });
const BATCH = Number(process.env['BATCH'] ?? 28);
const TURNS = Number(process.env['TURNS'] ?? 30);
const ROUNDS = Number(process.env['ROUNDS'] ?? 300);
const WARM_UP_ROUNDS = 1_500;
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

const HEADERS = {
  host: '127.0.0.1:41235',
  connection: 'keep-alive',
  'content-type': 'application/json',
  'content-length': '65',
  accept: '*/*',
  'user-agent': 'autocannon/8.0.0',
  'accept-encoding': 'gzip, deflate',
  'x-forwarded-proto': 'http',
};

interface Cpu {
  /** Microseconds of the process, of its main thread, and of the threads that isolates run on. */
  readonly all: number;
  readonly main: number;
  readonly guest: number;
}

class Runner {
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder(MAX_FRAME_BYTES);
  #onFrame: (frame: Frame) => void = () => undefined;
  #nextId = 1;

  static async start(tree: string): Promise<Runner> {
    const dir = await mkdtemp(join(tmpdir(), 'isolambda-bench-'));
    const source = (await import(pathToFileURL(resolve(tree, 'src/pool/image.ts')).href)) as {
      buildRunnerImage: (dir: string) => Promise<RunnerImage>;
    };
    const { entry } = await source.buildRunnerImage(dir);
    const runner = new Runner(dir, entry);
    runner.#send(FrameType.hello, 0, 0, { protocol: PROTOCOL_VERSION, maxFrameBytes: MAX_FRAME_BYTES });
    await runner.#next(FrameType.ready);
    runner.#send(FrameType.load, 1, 0, LOAD, CODE);
    await runner.#next(FrameType.loaded);
    return runner;
  }

  private constructor(dir: string, entry: string) {
    this.#dir = dir;
    const flags = process.env['RUNNER_FLAGS']?.split(' ') ?? [
      '--permission',
      '--allow-addons',
      `--allow-fs-read=${dir}`,
    ];
    this.#child = spawn(process.execPath, ['--no-node-snapshot', ...flags, '--no-warnings', entry], {
      env: {},
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    this.#socket = this.#child.stdio[3] as Socket;
    this.#socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#decoder.push(chunk)) this.#onFrame(frame);
    });
  }

  /** Rounds of one batch each; resolves when the last result is there. */
  async rounds(count: number): Promise<void> {
    const body = Buffer.from(BODY);
    const { promise, resolve: done } = Promise.withResolvers<undefined>();
    let left = count;
    let open = 0;
    const round = (): void => {
      if (left-- === 0) return done(undefined);
      open = BATCH;
      const frames: Uint8Array[] = [];
      for (let i = 0; i < BATCH; i++) {
        const id = this.#nextId++;
        frames.push(...encodeFrame(FrameType.invoke, 1, id, 30_000, JSON.stringify(headOf(id)), body));
      }
      this.#socket.write(Buffer.concat(frames));
    };
    this.#onFrame = ({ type, head, body: reply }) => {
      if (type !== FrameType.result) return;
      if (reply.length !== BODY.length) throw new Error(`not an echo: ${head}`);
      if (--open === 0) round();
    };
    round();
    await promise;
  }

  cpu(): Cpu {
    const tasks = `/proc/${this.#child.pid}/task`;
    let [all, main, guest] = [0, 0, 0];
    for (const thread of readdirSync(tasks)) {
      const us = Number(readFileSync(`${tasks}/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
      all += us;
      if (thread === String(this.#child.pid)) main += us;
      // V8's own threads have names; those of isolated-vm have the name of the thread that made them.
      else if (readFileSync(`${tasks}/${thread}/comm`, 'utf8') === this.#mainName) guest += us;
    }
    return { all, main, guest };
  }

  get #mainName(): string {
    return readFileSync(`/proc/${this.#child.pid}/comm`, 'utf8');
  }

  /** Ends it by the closing of the socket, so that profilers write what they have. */
  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    if (process.env['PROFILE_GUEST'] !== undefined) {
      this.#send(FrameType.unload, 1, 0, { reason: 'shutdown', graceMs: 1_000 });
      const { body } = await this.#next(FrameType.unloaded);
      const { writeFileSync } = await import('node:fs');
      writeFileSync(process.env['PROFILE_GUEST'], body);
    }
    this.#socket.end();
    await exited;
    await rm(this.#dir, { recursive: true, force: true });
  }

  #send(type: FrameType, isolate: number, id: number, head: unknown, body?: string): void {
    for (const part of encodeFrame(type, isolate, id, 0, JSON.stringify(head), body))
      this.#socket.write(part);
  }

  #next(type: FrameType): Promise<Frame> {
    return new Promise((done, failed) => {
      this.#onFrame = (frame) => {
        if (frame.type === type) done(frame);
        else if (frame.type === FrameType.loadFailed) failed(new Error(frame.head));
      };
    });
  }
}

const LOAD = {
  lambdaId: '01234567-89ab-cdef-0123-456789abcdef',
  accountId: 'account',
  version: 1,
  type: 'standalone',
  handler: 'main',
  codeBytes: CODE.length,
  limits: DEFAULT_LIMITS,
  lambdaConfig: null,
  userConfig: {},
  env: {},
  services: {},
  debugErrors: false,
  profile: process.env['PROFILE_GUEST'] !== undefined,
};

const headOf = (id: number): object => ({
  kind: 'http',
  requestId: `01234567-89ab-cdef-0123-${String(id).padStart(12, '0')}`,
  accountId: '01234567-89ab-cdef-0123-456789abcdef',
  deadlineMs: Date.now() + 30_000,
  method: 'POST',
  path: '/main',
  query: '',
  headers: Object.entries(HEADERS).flat(),
  clientIp: '127.0.0.1',
});

/** Under other load on the machine the middle of a run's turns wanders; its quarter with the least does so less. */
const least = (values: readonly number[]): number => percentile(values, 0.25);

const trees = process.argv.length > 2 ? process.argv.slice(2) : ['.'];
const runners: { tree: string; runner: Runner; all: number[]; main: number[]; guest: number[] }[] = [];
for (const tree of trees) {
  const runner = await Runner.start(tree);
  await runner.rounds(WARM_UP_ROUNDS);
  runners.push({ tree, runner, all: [], main: [], guest: [] });
}
for (let turn = 1; turn <= TURNS; turn++) {
  for (const { runner, all, main, guest } of runners) {
    const before = runner.cpu();
    await runner.rounds(ROUNDS);
    const after = runner.cpu();
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
  await runner.stop();
}
