import { randomUUID } from 'node:crypto';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Executor } from './executor.ts';

const LOST_AT_ONCE = 500;
const FOR_EVER = Number.MAX_SAFE_INTEGER;

export interface WorkerOptions {
  readonly store: Store;
  readonly executor: Executor;
  /** No other host has this store: whatever earlier ones had claimed is void from the start. */
  readonly alone: boolean;
  /** How long a host may be silent before others take what it has claimed. */
  readonly leaseMs: number;
  readonly now: () => number;
  readonly log: Pick<Logger, 'error' | 'warn'>;
}

/** A host's lease on all that it has claimed, and the recovery of what hosts without a lease have left behind. */
export class Worker {
  readonly id = randomUUID();
  readonly #options: WorkerOptions;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { store, alone, leaseMs, now } = this.#options;
    if (alone) await store.taskClaims.retire(this.id, FOR_EVER);
    await store.taskClaims.heartbeat(this.id, now() + leaseMs);
    await this.#recover();
    this.#every(leaseMs / 4, () => store.taskClaims.heartbeat(this.id, now() + leaseMs));
    this.#every(leaseMs / 2, () => this.#recover());
  }

  /** What it still has claimed is free for others at once. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#options.store.taskClaims.retire(this.id, this.#options.now());
  }

  async #recover(): Promise<void> {
    const { store, executor, now, log } = this.#options;
    for (;;) {
      const subtasks = await store.taskClaims.lostSubtasks(now(), LOST_AT_ONCE);
      const splits = await store.taskClaims.lostSplits(now(), LOST_AT_ONCE);
      if (subtasks.length === 0 && splits.length === 0) return;
      log.warn(
        { subtasks: subtasks.length, splits: splits.length },
        'taking over what a lost host had claimed',
      );
      await executor.lost(subtasks);
      for (const split of splits) await executor.lostSplit(split);
    }
  }

  #every(ms: number, work: () => Promise<unknown>): void {
    let under = false;
    const timer = setInterval(() => {
      if (under) return;
      under = true;
      work()
        .catch((error: unknown) => this.#options.log.error({ err: error }, 'the lease on tasks'))
        .finally(() => (under = false));
    }, ms);
    timer.unref();
    this.#timers.push(timer);
  }
}
