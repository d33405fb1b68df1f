import type { Logger } from '../telemetry/log.ts';
import type { PoolMetrics } from '../telemetry/part-metrics.ts';
import type { Clock } from './clock.ts';
import type { Jail } from './jail.ts';
import { RunnerProcess, type RunnerGone, type RunnerOptions } from './runner-process.ts';

/** A boot takes 0.1 s on an idle machine; many at once on a busy one take longer. */
const BOOT_MS = 10_000;
const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 30_000;
/** Up to this pause before the next attempt, whoever needs a runner waits for it: a spare that was killed says nothing of boots. */
const PATIENCE_MS = 400;

export interface SparesParts {
  readonly jail: Jail;
  readonly clock: Clock;
  readonly log: Logger;
  /** How many to keep ready. */
  readonly wanted: number;
  /** Whether the host has room for one more process. */
  readonly hasRoom: () => boolean;
  /** Asks an idle account for its runner; false where all are busy. `refill` is called when it is gone. */
  readonly makeRoom: () => boolean;
  readonly pollUs: RunnerOptions['pollUs'];
  readonly aheadMb: RunnerOptions['aheadMb'];
  readonly bootMs?: number | undefined;
  readonly metrics?: PoolMetrics | undefined;
}

export class NoRunnerError extends Error {
  override readonly name = 'NoRunnerError';
  readonly retryAfterMs: number;
  /** What the call ends as that waited for the runner. */
  readonly kind: 'runner_lost' | 'draining';

  constructor(message: string, retryAfterMs: number, kind: NoRunnerError['kind'] = 'runner_lost') {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.kind = kind;
  }
}

const shuttingDown = (): NoRunnerError => new NoRunnerError('the host is shutting down', 1000, 'draining');

interface Waiter {
  readonly resolve: (runner: RunnerProcess) => void;
  readonly reject: (error: NoRunnerError) => void;
}

/**
 * Booted runners without an account. Each is given away once; behind it another is booted. Where boots fail, the next
 * attempt waits, twice as long each time, and after a few of them nobody waits for it any more.
 */
export class Spares {
  readonly #parts: SparesParts;
  readonly #ready: RunnerProcess[] = [];
  readonly #booting = new Set<RunnerProcess>();
  readonly #waiters: Waiter[] = [];
  #backoffMs = 0;
  #lastFailure = '';
  #retry: (() => void) | undefined;
  #closed = false;

  constructor(parts: SparesParts) {
    this.#parts = parts;
  }

  /** Booted and waiting. */
  get ready(): readonly RunnerProcess[] {
    return this.#ready;
  }

  /** Processes that have no account yet. */
  get size(): number {
    return this.#ready.length + this.#booting.size;
  }

  /** Boots what is missing. */
  refill(): void {
    if (this.#closed || this.#retry) return;
    const missing = (): number => this.#parts.wanted + this.#waiters.length - this.size;
    while (missing() > 0 && this.#parts.hasRoom() && !this.#retry) this.#boot();
  }

  /** A runner for an account, which it keeps for good: a ready one, or the next that boots. Rejects with NoRunnerError. */
  take(): Promise<RunnerProcess> {
    if (this.#closed) return Promise.reject(shuttingDown());
    const spare = this.#ready.shift();
    if (spare) {
      // A boot that led to a runner in use was a good one; one that only said "ready" may still die at once.
      this.#backoffMs = 0;
      // Not in this turn: a boot costs the host a millisecond, and a request waits for this runner.
      this.#parts.clock.after(0, () => this.refill());
      return Promise.resolve(spare);
    }
    if (this.#retry && this.#backoffMs > PATIENCE_MS) return Promise.reject(this.#refusal());
    if (this.#booting.size <= this.#waiters.length && !this.#parts.hasRoom() && !this.#parts.makeRoom())
      return Promise.reject(new NoRunnerError('the host has no room for another runner', 1000));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.refill();
    });
  }

  #refusal(): NoRunnerError {
    return new NoRunnerError(`no runner could be started: ${this.#lastFailure}`, this.#backoffMs);
  }

  #boot(): void {
    const { jail, log, clock, bootMs = BOOT_MS, pollUs, aheadMb } = this.#parts;
    try {
      const runner = new RunnerProcess(jail, log, clock, { bootMs, pollUs, aheadMb }, this.#onBooted);
      this.#booting.add(runner);
    } catch (error) {
      this.#onFailed(error instanceof Error ? error.message : String(error));
    }
  }

  readonly #onBooted = (runner: RunnerProcess, gone: RunnerGone | undefined): void => {
    this.#booting.delete(runner);
    const { clock, metrics } = this.#parts;
    if (gone) {
      metrics?.runnerEnded(gone.cause);
      this.#onFailed(gone.detail);
      return;
    }
    metrics?.runnerBooted(clock.now() - runner.startedMs);
    const waiter = this.#waiters.shift();
    if (waiter) {
      this.#backoffMs = 0;
      waiter.resolve(runner);
      return;
    }
    this.#ready.push(runner);
    runner.whenGone(() => {
      const at = this.#ready.indexOf(runner);
      if (at < 0) return;
      this.#ready.splice(at, 1);
      metrics?.runnerEnded(runner.gone?.cause ?? 'exited');
      this.#onFailed(`a spare runner went away: ${runner.gone?.detail ?? ''}`);
    });
  };

  #onFailed(why: string): void {
    if (this.#closed) return;
    this.#lastFailure = why;
    this.#backoffMs = Math.min(LAST_BACKOFF_MS, Math.max(FIRST_BACKOFF_MS, this.#backoffMs * 2));
    this.#parts.log.warn({ why, retryMs: this.#backoffMs }, 'a runner did not boot');
    if (this.#backoffMs > PATIENCE_MS)
      for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#refusal());
    this.#retry ??= this.#parts.clock.after(this.#backoffMs, () => {
      this.#retry = undefined;
      this.refill();
    });
  }

  /** Ends them all; resolves when their processes are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.();
    this.#retry = undefined;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(shuttingDown());
    const all = [...this.#ready.splice(0), ...this.#booting];
    for (const runner of all) runner.kill('closed', 'the host is shutting down');
    await Promise.all(all.map((runner) => runner.exited));
  }
}
