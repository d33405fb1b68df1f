/** A runner process without a host and without its jail, spoken to in frames. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DEFAULT_LIMITS } from '../src/config/limits.ts';
import type { RunnerImage } from '../src/pool/image.ts';
import { encodeFrame, FrameDecoder, FrameType, PROTOCOL_VERSION, type Frame } from '../src/protocol/frame.ts';

const ECHO_CODE = '(function(m){"use strict"; return { main: async (request) => request.json }; })';
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const INVOKE_MS = 30_000;

export interface BareRunnerOptions {
  /** The source tree that the runner is of. */
  readonly tree?: string;
  /** In place of Node's flags for the permission model. */
  readonly flags?: readonly string[] | undefined;
}

export class BareRunner {
  readonly pid: number;
  onFrame: (frame: Frame) => void = () => undefined;
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder(MAX_FRAME_BYTES);

  static async start({ tree = '.', flags }: BareRunnerOptions = {}): Promise<BareRunner> {
    const dir = await mkdtemp(join(tmpdir(), 'isolambda-bench-'));
    const source = (await import(pathToFileURL(resolve(tree, 'src/pool/image.ts')).href)) as {
      buildRunnerImage: (dir: string) => Promise<RunnerImage>;
    };
    const { entry } = await source.buildRunnerImage(dir);
    const runner = new BareRunner(dir, entry, flags);
    runner.send(FrameType.hello, 0, 0, {
      protocol: PROTOCOL_VERSION,
      maxFrameBytes: MAX_FRAME_BYTES,
      aheadMb: 128,
    });
    await runner.next(FrameType.ready);
    return runner;
  }

  private constructor(dir: string, entry: string, flags: readonly string[] | undefined) {
    this.#dir = dir;
    const nodeFlags = flags ?? ['--permission', '--allow-addons', `--allow-fs-read=${dir}`];
    this.#child = spawn(process.execPath, ['--no-node-snapshot', ...nodeFlags, '--no-warnings', entry], {
      env: {},
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    this.pid = this.#child.pid!;
    this.#socket = this.#child.stdio[3] as Socket;
    this.#socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#decoder.push(chunk)) this.onFrame(frame);
    });
  }

  /** An isolate that echoes JSON. */
  async load(isolate: number, profile = false): Promise<Frame> {
    const head = {
      lambdaId: '01234567-89ab-cdef-0123-456789abcdef',
      accountId: 'account',
      version: 1,
      type: 'standalone',
      handler: 'main',
      codeBytes: ECHO_CODE.length,
      limits: DEFAULT_LIMITS,
      lambdaConfig: null,
      userConfig: {},
      env: {},
      services: {},
      debugErrors: false,
      profile,
    };
    const loaded = this.next(FrameType.loaded);
    this.send(FrameType.load, isolate, 0, head, ECHO_CODE);
    return loaded;
  }

  send(type: FrameType, isolate: number, id: number, head: unknown, body: string | Uint8Array = ''): void {
    for (const part of encodeFrame(type, isolate, id, 0, JSON.stringify(head), body))
      this.#socket.write(part);
  }

  /** Invocations of isolate 1, in one write; the ids count up from `firstId`. */
  invoke(firstId: number, count: number, body: Uint8Array): void {
    const frames: Uint8Array[] = [];
    for (let id = firstId; id < firstId + count; id += 1)
      frames.push(...encodeFrame(FrameType.invoke, 1, id, INVOKE_MS, JSON.stringify(headOf(id)), body));
    this.#socket.write(Buffer.concat(frames));
  }

  next(type: FrameType): Promise<Frame> {
    return new Promise((done, failed) => {
      this.onFrame = (frame) => {
        if (frame.type === type) done(frame);
        else if (frame.type === FrameType.loadFailed) failed(new Error(frame.head));
      };
    });
  }

  /** Ends it by the closing of the socket, so that profilers write what they have. */
  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#socket.end();
    await exited;
    await rm(this.#dir, { recursive: true, force: true });
  }
}

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

const headOf = (id: number): object => ({
  kind: 'http',
  requestId: `01234567-89ab-cdef-0123-${String(id).padStart(12, '0')}`,
  accountId: '01234567-89ab-cdef-0123-456789abcdef',
  deadlineMs: Date.now() + INVOKE_MS,
  method: 'POST',
  path: '/main',
  query: '',
  headers: Object.entries(HEADERS).flat(),
  clientIp: '127.0.0.1',
});
