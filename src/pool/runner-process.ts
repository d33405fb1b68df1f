import type { Readable } from 'node:stream';
import { Socket } from 'node:net';
import {
  FrameDecoder,
  type ByteChunks,
  FrameError,
  FrameType,
  PROTOCOL_VERSION,
  type Frame,
} from '../protocol/frame.ts';
import { FrameWriter } from '../protocol/frame-writer.ts';
import { parseRunnerHead, runnerFrameName, type Hello, type RunnerHeads } from '../protocol/messages.ts';
import type { Logger } from '../telemetry/log.ts';
import { Allowance } from './allowance.ts';
import { AnswerPoll } from './answer-poll.ts';
import type { Clock } from './clock.ts';
import { CHANNEL_FD, type Jail } from './jail.ts';
import { openGauge, type Gauge } from './process-gauge.ts';

/**
 * - `booting`: started, has not said `ready`
 * - `spare`: waits for an account
 * - `serving`: has an account
 * - `draining`: takes nothing new, finishes what it has
 * - `gone`: its channel is closed, and it was killed or ended by itself
 */
export type RunnerState = 'booting' | 'spare' | 'serving' | 'draining' | 'gone';

export type GoneCause =
  | 'exited'
  | 'violation'
  | 'unresponsive'
  | 'cpu_limit'
  | 'memory_limit'
  | 'threads'
  | 'boot'
  | 'retired'
  | 'closed';

export interface RunnerGone {
  readonly cause: GoneCause;
  /** For the host's log. */
  readonly detail: string;
}

/** Who looks after a runner that has an account. A FrameError thrown by `onFrame` is the runner's fault, and its end. */
export interface RunnerOwner {
  onFrame(name: keyof RunnerHeads, frame: Frame): void;
  /** Once; after it no frame comes. The process may take a moment longer to be gone. */
  onGone(gone: RunnerGone): void;
}

/** An invocation that travels in a frame: told when its bytes were handed to the socket. */
export interface Sent {
  written: boolean;
}

export interface RunnerOptions {
  /** It is given up where it is not ready by then; milliseconds. */
  readonly bootMs: number;
  /** How long its answers are polled for, see AnswerPoll; microseconds. */
  readonly pollUs: number;
  /** `memory_mb` of the isolate that it makes ahead, while it is a spare. */
  readonly aheadMb: number;
}

/** What `take` sets: how much this account's runner may say. */
export interface RunnerBounds {
  /** Largest frame, in bytes. */
  readonly maxFrameBytes: number;
  /** Logs, bridge calls and all else that is not a result, in bytes per second. */
  readonly sideBytesPerS: number;
}

/** Until it has an account, a runner has only `ready` to say. */
const SPARE_FRAME_BYTES = 64 * 1024;
/** The runner trusts its host: this only tells it how large a buffer may grow. Bundles are the largest frames. */
const HOST_FRAME_BYTES = 512 * 1024 * 1024;
/** Above this much unsent, frames wait in the outbox; an invocation that waits there can still go to another runner. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** Short frames of one turn are written into one buffer of this size: every runner has one, so it is small. */
const SLAB_BYTES = 16 * 1024;
const SIDE_FRAMES_PER_S = 50_000;
const MAX_OUTPUT_BYTES = 64 * 1024;
const OUTPUT_LINE_CHARS = 1000;

/** How long the channel of an ended process may take to be read to its end. */
const CHANNEL_GRACE_MS = 250;
/** How long bubblewrap's monitor may outlive its runner. */
const MONITOR_GRACE_MS = 500;

interface Outgoing {
  readonly type: FrameType;
  readonly isolate: number;
  readonly id: number;
  readonly aux: number;
  readonly head: string;
  readonly body: Uint8Array | ByteChunks | string | undefined;
  readonly sent: Sent | undefined;
}

/**
 * One child process and its channel: boots, speaks frames, ends. Knows nothing of accounts, isolates or invocations.
 * Whatever breaks the protocol kills it.
 */
export class RunnerProcess {
  readonly startedMs: number;
  #state: RunnerState = 'booting';
  #pid = 0;
  #owner: RunnerOwner | undefined;
  #gone: RunnerGone | undefined;
  readonly #log: Logger;
  readonly #child;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder(SPARE_FRAME_BYTES);
  readonly #clock: Clock;
  #sideBytes: Allowance | undefined;
  readonly #sideFrames: Allowance;
  readonly #poll: AnswerPoll;
  #outbox: Outgoing[] = [];
  readonly #frames = new FrameWriter(SLAB_BYTES);
  #flushing = false;
  /** It was sent an invocation, and has not answered any since. */
  #behind = false;
  #full = false;
  readonly #onGone: (() => void)[] = [];
  #gauge: Gauge | undefined;
  #booted: ((gone: RunnerGone | undefined) => void) | undefined;
  readonly #exited: Promise<void>;

  /** `onBooted` hears once: the runner is spare, or why it never will be. */
  constructor(
    jail: Jail,
    log: Logger,
    clock: Clock,
    { bootMs, pollUs, aheadMb }: RunnerOptions,
    onBooted: (runner: RunnerProcess, gone: RunnerGone | undefined) => void,
  ) {
    this.startedMs = clock.now();
    this.#log = log;
    this.#clock = clock;
    this.#sideFrames = new Allowance(clock, SIDE_FRAMES_PER_S);
    this.#poll = new AnswerPoll(pollUs);
    const { child, pid } = jail.spawn();
    this.#child = child;
    this.#socket = channelOf(child.stdio[CHANNEL_FD]);
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        resolve();
        const ended = signal === null ? `exit code ${code}` : signal;
        log.debug({ pid: this.#pid, ended }, 'runner ended');
        // Its last frames may still be in the channel, whose end then tells.
        clock.after(CHANNEL_GRACE_MS, () => this.#end({ cause: 'exited', detail: ended }));
      });
      child.once('error', (error) => {
        this.#end({ cause: 'boot', detail: error.message });
        if (child.pid === undefined) resolve();
      });
    });
    this.#drain(child.stdout, 'stdout');
    this.#drain(child.stderr, 'stderr');
    const callOff = clock.after(bootMs, () => this.kill('boot', `not ready within ${bootMs} ms`));
    this.#booted = (gone) => {
      callOff();
      this.#booted = undefined;
      onBooted(this, gone);
    };
    this.#listen();
    const hello: Hello = { protocol: PROTOCOL_VERSION, maxFrameBytes: HOST_FRAME_BYTES, aheadMb };
    this.send(FrameType.hello, 0, 0, 0, JSON.stringify(hello));
    pid.then(
      (number) => {
        if (this.#state === 'gone') return;
        this.#pid = number;
        this.#gauge = openGauge(number);
        this.#maybeReady();
      },
      (error: unknown) => this.kill('boot', error instanceof Error ? error.message : String(error)),
    );
  }

  get state(): RunnerState {
    return this.#state;
  }

  /** The runner's own pid in the host's numbering; 0 until it is known. */
  get pid(): number {
    return this.#pid;
  }

  /** Measures and signals the process; undefined where the system has no `/proc`, and after the end. */
  get gauge(): Gauge | undefined {
    return this.#gauge;
  }

  /** Resolves when the process has ended and was reaped. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Called once when it is gone, whoever has it. */
  whenGone(listener: () => void): void {
    this.#onGone.push(listener);
  }

  /** Gives a spare runner to its account, for good. */
  take(owner: RunnerOwner, bounds: RunnerBounds): void {
    if (this.#state !== 'spare') throw new Error(`runner ${this.#pid} is ${this.#state}, not spare`);
    this.#state = 'serving';
    this.#owner = owner;
    this.widen(bounds);
  }

  /** A lambda with larger limits came: the bounds grow, never shrink. */
  widen(bounds: RunnerBounds): void {
    this.#decoder.raiseTo(bounds.maxFrameBytes);
    if (this.#sideBytes) this.#sideBytes.raiseTo(bounds.sideBytesPerS);
    else this.#sideBytes = new Allowance(this.#clock, bounds.sideBytesPerS);
  }

  /** No more work: what it has may finish. */
  cordon(): void {
    if (this.#state === 'serving') this.#state = 'draining';
  }

  /** Puts a frame into this turn's write. Frames keep their order; after the end they are dropped. */
  send(
    type: FrameType,
    isolate: number,
    id: number,
    aux: number,
    head: string,
    body?: Uint8Array | ByteChunks | string,
    sent?: Sent,
  ): void {
    if (this.#state === 'gone') return;
    this.#outbox.push({ type, isolate, id, aux, head, body, sent });
    if (this.#flushing || this.#full) return;
    this.#flushing = true;
    // A runner that is busy does not begin with it yet: a turn more, and more go in one write, one wake-up and one entry.
    setImmediate(this.#behind ? this.#holdATurn : this.#flush);
  }

  readonly #holdATurn = (): void => void setImmediate(this.#flush);

  /** SIGKILL, and the owner hears at once. */
  kill(cause: GoneCause, detail: string): void {
    this.#end({ cause, detail });
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    const socket = this.#socket;
    const outbox = this.#outbox;
    let taken = 0;
    let waiting = 0;
    socket.cork();
    while (taken < outbox.length && !this.#full && !socket.destroyed) {
      const { type, isolate, id, aux, head, body, sent } = outbox[taken++]!;
      if (sent) {
        sent.written = true;
        this.#behind = true;
      }
      this.#frames.add(type, isolate, id, aux, head, body);
      waiting += head.length + (body?.length ?? 0);
      if (waiting < SLAB_BYTES) continue;
      this.#write();
      waiting = 0;
    }
    this.#write();
    if (this.#behind) this.#poll.asked();
    this.#outbox = taken === outbox.length ? [] : outbox.slice(taken);
    socket.uncork();
  };

  #write(): void {
    const socket = this.#socket;
    for (const bytes of this.#frames.take()) socket.write(bytes);
    this.#full = socket.writableLength > HIGH_WATER_BYTES;
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => {
      this.#full = false;
      if (this.#outbox.length === 0 || this.#flushing) return;
      this.#flushing = true;
      setImmediate(this.#flush);
    });
    socket.on('error', (error) => this.#end({ cause: 'exited', detail: `channel: ${error.message}` }));
    socket.on('end', () => this.#end({ cause: 'exited', detail: 'closed its channel' }));
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) {
        this.#onFrame(frame);
        if (this.#state === 'gone') return;
      }
    } catch (error) {
      if (error instanceof FrameError) this.kill('violation', error.message);
      else {
        this.#log.error(
          { err: error, pid: this.#pid },
          'a runner frame broke the host; its runner is killed',
        );
        this.kill('violation', 'its frame broke the host');
      }
    }
  }

  #onFrame(frame: Frame): void {
    const name = runnerFrameName(frame.type);
    if (this.#state === 'booting') {
      if (name !== 'ready') throw new FrameError(`${name} before ready`);
      const ready = parseRunnerHead('ready', frame.head);
      if (ready.protocol !== PROTOCOL_VERSION)
        throw new FrameError(`speaks protocol ${ready.protocol}; this host ${PROTOCOL_VERSION}`);
      if (this.#said) throw new FrameError('ready twice');
      this.#said = true;
      this.#maybeReady();
      return;
    }
    if (!this.#owner) throw new FrameError(`${name} from a runner without an account`);
    if (name === 'result') {
      this.#behind = false;
      this.#poll.answered();
    } else this.#charge(frame);
    this.#owner.onFrame(name, frame);
  }
  #said = false;

  #maybeReady(): void {
    if (!this.#said || this.#pid === 0 || this.#state !== 'booting') return;
    this.#state = 'spare';
    this.#booted?.(undefined);
  }

  #charge(frame: Frame): void {
    const bytes = frame.head.length + frame.body.length;
    if (!this.#sideFrames.take(1)) throw new FrameError(`more than ${SIDE_FRAMES_PER_S} frames per second`);
    if (this.#sideBytes && !this.#sideBytes.take(bytes))
      throw new FrameError(`more than ${this.#sideBytes.perS} bytes of logs and calls per second`);
  }

  /** What a process prints costs the host no more than reading it: the rest is thrown away. */
  #drain(stream: Readable | null, name: string): void {
    let left = MAX_OUTPUT_BYTES;
    stream?.on('error', () => undefined);
    stream?.on('data', (chunk: Buffer) => {
      if (left <= 0) return;
      left -= chunk.length;
      const text = chunk.toString('utf8').slice(0, OUTPUT_LINE_CHARS);
      this.#log.debug({ pid: this.#pid, stream: name, text, truncated: left <= 0 }, 'runner output');
    });
  }

  #end(gone: RunnerGone): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#gone = gone;
    this.#poll.answered();
    this.#outbox = [];
    this.#killProcess();
    for (const stream of this.#child.stdio) if (stream && 'destroy' in stream) stream.destroy();
    this.#booted?.(gone);
    this.#owner?.onGone(gone);
    for (const listener of this.#onGone.splice(0)) listener();
  }

  /**
   * The runner first: bubblewrap's monitor then ends with it, so that `exited` means that both are gone. Killing the monitor
   * alone would do as well (PR_SET_PDEATHSIG), but a moment later; it is the way where the pid is not known.
   */
  #killProcess(): void {
    const child = this.#child;
    const running = child.exitCode === null && child.signalCode === null;
    const signalled = this.#gauge?.signal('SIGKILL') === true;
    this.#gauge?.close();
    this.#gauge = undefined;
    if (!running) return;
    if (!signalled) child.kill('SIGKILL');
    else {
      const callOff = this.#clock.after(MONITOR_GRACE_MS, () => child.kill('SIGKILL'));
      child.once('exit', callOff);
    }
  }

  /** Why it is gone, once it is. */
  get gone(): RunnerGone | undefined {
    return this.#gone;
  }
}

function channelOf(stream: unknown): Socket {
  if (!(stream instanceof Socket)) throw new Error('the runner was started without a channel');
  return stream;
}
