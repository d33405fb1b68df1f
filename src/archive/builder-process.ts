/** One builder child, seen from the host: boots, takes one archive, and is gone. */
import type { ChildProcess } from 'node:child_process';
import { Duplex } from 'node:stream';
import { FrameDecoder, FrameError, FrameType, type Frame } from '../protocol/frame.ts';
import { encodeRequest, mostResultBytes } from './builder-frames.ts';
import { parseResult } from './builder-messages.ts';
import type { BuilderJail } from './builder-jail.ts';
import { treeMemory } from './process-tree.ts';
import type { BuildRequest, BuildResult } from './types.ts';

/** Why a child gave no result. */
export class BuilderLost extends Error {
  override readonly name = 'BuilderLost';
}

const READY_BYTES = 1_024;
const MAX_STDERR = 8_000;
const WATCH_EVERY_MS = 25;
const MiB = 1024 * 1024;

export class BuilderProcess {
  /** Resolves when the child can take an archive; rejects with BuilderLost. */
  readonly ready: Promise<void>;
  /** Resolves when no process of it is left. */
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #channel: Duplex;
  #decoder = new FrameDecoder(READY_BYTES);
  #onFrame: (frame: Frame) => void = () => this.#lose('sent a message that nobody asked for');
  #lost: BuilderLost | undefined;
  readonly #losses: ((reason: BuilderLost) => void)[] = [];
  #stderr = '';

  constructor(jail: BuilderJail) {
    this.#child = jail.spawn();
    const channel = this.#child.stdio[3];
    if (!(channel instanceof Duplex)) throw new Error('a builder without its socketpair');
    this.#channel = channel;
    this.#child.stdout?.resume();
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-MAX_STDERR);
    });
    channel.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A write to a child that is gone; its exit tells more.
    channel.on('error', () => undefined);
    this.#child.once('error', (thrown) => this.#lose(`could not be started: ${thrown.message}`));
    this.gone = new Promise((resolve) => {
      this.#child.once('error', () => resolve());
      this.#child.once('close', () => resolve());
    });
    this.#child.once('close', (code, signal) => this.#ended(code, signal));
    this.ready = this.#next().then((frame) => {
      if (frame.type !== FrameType.ready) throw this.#lose('did not say that it is ready');
    });
    this.ready.catch(() => undefined);
  }

  /** What the child wrote to its standard error, for the host's log. */
  get stderr(): string {
    return this.#stderr;
  }

  get alive(): boolean {
    return this.#lost === undefined;
  }

  /** Builds the one archive of this child's life. Rejects with BuilderLost; whatever happens, the child is gone then. */
  async build(request: BuildRequest, memoryMb: number): Promise<BuildResult> {
    await this.ready;
    this.#decoder = new FrameDecoder(mostResultBytes(request.limits.bundle_bytes));
    const watch = setInterval(() => {
      if (this.#child.pid !== undefined && treeMemory(this.#child.pid) > memoryMb * MiB)
        this.#lose(`held more than ${memoryMb} MiB of memory (build.memory_mb)`);
    }, WATCH_EVERY_MS);
    try {
      const answer = this.#next();
      this.#channel.cork();
      for (const buffer of encodeRequest(request)) this.#channel.write(buffer);
      this.#channel.uncork();
      return parseResult(await answer, request.limits.bundle_bytes);
    } catch (thrown) {
      throw thrown instanceof FrameError ? this.#lose(`broke the protocol: ${thrown.message}`) : thrown;
    } finally {
      clearInterval(watch);
      this.kill('was done');
    }
  }

  /** Ends the child and all below it; a build in progress rejects with this reason. Idempotent. */
  kill(reason: string): void {
    this.#lose(reason);
  }

  #next(): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.#lost) {
        reject(this.#lost);
        return;
      }
      this.#losses.push(reject);
      this.#onFrame = (frame) => {
        this.#onFrame = () => this.#lose('sent a message that nobody asked for');
        resolve(frame);
      };
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#lost) return;
    try {
      for (const frame of this.#decoder.push(chunk)) this.#onFrame(frame);
    } catch (thrown) {
      this.#lose(`broke the protocol: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    const outOfMemory = /heap out of memory|cannot allocate memory|out of memory/i.test(this.#stderr);
    if (outOfMemory) this.#lose('ran out of memory (build.memory_mb)');
    else if (/stack exceeds|stack overflow/i.test(this.#stderr))
      this.#lose('met code that is nested too deep');
    else this.#lose(`ended with ${signal ?? `code ${code}`}`);
  }

  #lose(reason: string): BuilderLost {
    if (this.#lost) return this.#lost;
    this.#lost = new BuilderLost(reason);
    for (const reject of this.#losses.splice(0)) reject(this.#lost);
    this.#channel.destroy();
    const { pid } = this.#child;
    if (pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      try {
        // The whole group: bubblewrap takes its own along, esbuild beside a bare Node would stay a moment longer.
        process.kill(-pid, 'SIGKILL');
      } catch {
        this.#child.kill('SIGKILL');
      }
    }
    return this.#lost;
  }
}
