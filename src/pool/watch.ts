import type { Logger } from '../telemetry/log.ts';
import type { Clock } from './clock.ts';
import type { CpuWeight } from './cpu-weight.ts';
import type { Gauge, ProcessReading } from './process-gauge.ts';
import type { GoneCause } from './runner-process.ts';

/** One runner with an account, as the watch sees it. */
export interface Watched {
  /** Undefined where the system can't measure, and after the end. */
  gauge(): Gauge | undefined;
  /** `process_memory_mb`, in bytes. */
  residentLimitBytes: number;
  /** `cpu_cores`. */
  cores: number;
  /** Something is under way. */
  busy(): boolean;
  ping(onPong: () => void): void;
  /** CPU that the call under way may use while the runner answers nothing, in milliseconds; 0: the runner must answer. */
  mayHoldUpMs(): number;
  kill(cause: GoneCause, detail: string): void;
  /** Epoch milliseconds of the last moment that it was held back for its CPU; while it is, nothing can be asked of it. */
  lastThrottledMs: number;
}

export interface WatchParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** It has grown: to be replaced when it has finished what it has. */
  readonly onGrown: (watched: Watched) => void;
}

const TICK_MS = 100;
/** A tick that came late (the host was busy) counts as this much at most: what the host did not do is not the runner's fault. */
const LONGEST_TICK_MS = 150;
const BUSY_PING_MS = 500;
const IDLE_PING_MS = 10_000;
/** Idle runners are looked at this often: an escaped one may compute with nothing in flight. */
const IDLE_LOOK_MS = 1000;
/** No pong for this long ends a runner that could have answered. */
const SILENT_MS = 1000;
/** One that is ready to run and gets no CPU is not stuck, the machine is overloaded; for this long. */
const STARVED_MS = 10_000;
/** CPU in this share of the silence shows that it was scheduled. */
const SCHEDULED_SHARE = 0.5;
/** Node starts about 10 threads, isolated-vm a few for each isolate that runs. */
const MAX_THREADS = 256;
/** Above this share of its memory limit a runner is replaced, once it is quiet. */
const GROWN_SHARE = 0.8;
/** So many looks in a row. */
const GROWN_LOOKS = 10;
/** CPU that may be saved up, in seconds of the account's share: starting an isolate takes more than a fair share for a moment. */
const SAVED_S = 1;
const LEAST_SAVED_MS = 250;
/** Cores that a runner used lately, above which it yields to all that use less, and below which it no longer does. */
const HEAVY_CORES = 0.5;
const LIGHT_CORES = 0.25;
/** What was used so long ago counts a third of what is used now. */
const LATELY_MS = 1_000;

/** What one look shows. */
interface Look {
  readonly now: number;
  /** Since the tick before, as far as the host was awake. */
  readonly elapsedMs: number;
  readonly busy: boolean;
  /** It used most of the time since the last look. */
  readonly computing: boolean;
  readonly reading: ProcessReading | undefined;
}

interface Record {
  lookedMs: number;
  cpuMs: number;
  /** CPU milliseconds left; below zero the runner is stopped until it has been earned again. */
  creditMs: number;
  stopped: boolean;
  /** Cores used lately. */
  usedCores: number;
  weight: CpuWeight;
  pingSentMs: number | undefined;
  waitedMs: number;
  waitedCpuMs: number;
  pingedMs: number;
  grownLooks: number;
  told: boolean;
}

/**
 * Looks at every runner that has an account, ten times a second while it is busy: kills what does not answer or holds too much
 * memory, lets what computes on and on yield to the rest, and holds back what takes more CPU than the account's share
 * (docs/decisions/cpu-duty-cycle.md).
 */
export class Watch {
  readonly #parts: WatchParts;
  readonly #records = new Map<Watched, Record>();
  #stop: (() => void) | undefined;
  #tickedMs: number;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#tickedMs = parts.clock.now();
  }

  add(watched: Watched): void {
    const now = this.#parts.clock.now();
    this.#records.set(watched, {
      lookedMs: now,
      // A spare's boot is not the account's cost.
      cpuMs: watched.gauge()?.read()?.cpuMs ?? 0,
      creditMs: savedMs(watched.cores),
      stopped: false,
      usedCores: 0,
      weight: 'usual',
      pingSentMs: undefined,
      waitedMs: 0,
      waitedCpuMs: 0,
      pingedMs: now,
      grownLooks: 0,
      told: false,
    });
    if (!this.#stop) this.#tickedMs = now;
    this.#stop ??= this.#parts.clock.after(TICK_MS, this.#tick);
  }

  remove(watched: Watched): void {
    this.#records.delete(watched);
  }

  close(): void {
    this.#records.clear();
    this.#stop?.();
    this.#stop = undefined;
  }

  readonly #tick = (): void => {
    this.#stop = undefined;
    const now = this.#parts.clock.now();
    const elapsedMs = Math.min(LONGEST_TICK_MS, Math.max(0, now - this.#tickedMs));
    this.#tickedMs = now;
    for (const [watched, record] of this.#records) {
      const attentive = record.stopped || record.pingSentMs !== undefined || watched.busy();
      if (attentive || now - record.lookedMs >= IDLE_LOOK_MS)
        this.#look(watched, record, now, elapsedMs, attentive);
    }
    if (this.#records.size > 0) this.#stop ??= this.#parts.clock.after(TICK_MS, this.#tick);
  };

  #look(watched: Watched, record: Record, now: number, elapsedMs: number, busy: boolean): void {
    const reading = watched.gauge()?.read();
    const sinceMs = Math.max(0, now - record.lookedMs);
    record.lookedMs = now;
    let computing = false;
    if (reading) {
      const usedMs = Math.max(0, reading.cpuMs - record.cpuMs);
      record.cpuMs = reading.cpuMs;
      record.waitedCpuMs += usedMs;
      computing = usedMs > sinceMs * SCHEDULED_SHARE;
      if (reading.residentBytes > watched.residentLimitBytes) {
        watched.kill(
          'memory_limit',
          `${reading.residentBytes} resident bytes of ${watched.residentLimitBytes}`,
        );
        return;
      }
      if (reading.threads > MAX_THREADS) {
        watched.kill('threads', `${reading.threads} threads of ${MAX_THREADS}`);
        return;
      }
      this.#throttle(watched, record, usedMs, sinceMs, now);
      this.#weigh(watched, record, usedMs, sinceMs);
      this.#measureGrowth(watched, record, reading);
    }
    if (!record.stopped) this.#askForLife(watched, record, { now, elapsedMs, busy, computing, reading });
  }

  #throttle(watched: Watched, record: Record, usedMs: number, sinceMs: number, now: number): void {
    const most = savedMs(watched.cores);
    record.creditMs = Math.min(most, record.creditMs + sinceMs * watched.cores) - usedMs;
    if (record.creditMs < 0 && !record.stopped) {
      record.stopped = watched.gauge()?.signal('SIGSTOP') === true;
    } else if (record.creditMs >= 0 && record.stopped) {
      record.stopped = false;
      watched.gauge()?.signal('SIGCONT');
    }
    if (record.stopped) watched.lastThrottledMs = now;
  }

  #weigh(watched: Watched, record: Record, usedMs: number, sinceMs: number): void {
    if (sinceMs === 0) return;
    const passed = Math.exp(-sinceMs / LATELY_MS);
    record.usedCores = record.usedCores * passed + (usedMs / sinceMs) * (1 - passed);
    const { weight, usedCores } = record;
    if (weight === 'usual' ? usedCores <= HEAVY_CORES : usedCores >= LIGHT_CORES) return;
    const next = weight === 'usual' ? 'yielding' : 'usual';
    if (watched.gauge()?.weigh(next) === true) record.weight = next;
  }

  #measureGrowth(watched: Watched, record: Record, reading: ProcessReading): void {
    const grown = reading.residentBytes > GROWN_SHARE * watched.residentLimitBytes;
    record.grownLooks = grown ? record.grownLooks + 1 : 0;
    if (record.grownLooks < GROWN_LOOKS || record.told) return;
    record.told = true;
    this.#parts.onGrown(watched);
  }

  #askForLife(watched: Watched, record: Record, look: Look): void {
    if (record.pingSentMs !== undefined) return this.#judgeSilence(watched, record, look);
    const { now, busy, computing } = look;
    // What holds its runner up is bounded from the ping on.
    const pauseMs = !busy ? IDLE_PING_MS : computing && watched.mayHoldUpMs() > 0 ? TICK_MS : BUSY_PING_MS;
    if (now - record.pingedMs < pauseMs) return;
    record.pingSentMs = record.pingedMs = now;
    record.waitedMs = record.waitedCpuMs = 0;
    watched.ping(() => (record.pingSentMs = undefined));
  }

  #judgeSilence(watched: Watched, record: Record, { elapsedMs, reading }: Look): void {
    record.waitedMs += elapsedMs;
    const { waitedMs, waitedCpuMs } = record;
    const ready = reading?.state === 'R';
    const scheduled = waitedCpuMs >= waitedMs * SCHEDULED_SHARE;
    const mayMs = watched.mayHoldUpMs();
    if (mayMs > 0 && waitedCpuMs > mayMs)
      return watched.kill('cpu_limit', `${waitedCpuMs} ms of CPU without an answer; cpu_ms is ${mayMs}`);
    if (waitedMs < SILENT_MS || (mayMs > 0 && (ready || scheduled))) return;
    const starved = ready && !scheduled;
    if (starved && waitedMs < STARVED_MS) return;
    watched.kill('unresponsive', `no pong for ${waitedMs} ms`);
  }
}

const savedMs = (cores: number): number => Math.max(LEAST_SAVED_MS, cores * SAVED_S * 1000);
