import type { Settled, Settlement, TaskEnded } from '../store/task-claim-types.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';

/** Settlements of one commit: a disk that syncs each of them alone would be the bound of all tasks. */
const MOST_AT_ONCE = 200;
const RETRY_MS = 500;

export interface SettlerOptions {
  readonly store: Store;
  readonly resultBytes: (accountId: string) => number;
  readonly tooLarge: (limit: number) => string;
  readonly onEnded: (ended: TaskEnded) => void;
  readonly now: () => number;
  readonly log: Pick<Logger, 'error'>;
}

interface Waiting {
  readonly settlement: Settlement;
  readonly resolve: (settled: Settled) => void;
}

/** Writes what became of subtasks: those that end while one commit is under way share the next one. */
export class Settler {
  readonly #options: SettlerOptions;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #givenUp = false;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** Resolves once it is stored, or was no longer this worker's to store. */
  settle(settlement: Settlement): Promise<Settled> {
    return new Promise((resolve) => {
      this.#waiting.push({ settlement, resolve });
      this.#writing ??= this.#write();
    });
  }

  /** A store that fails is not tried any more: what is unwritten goes to whoever claims it next. */
  giveUp(): void {
    this.#givenUp = true;
  }

  async #write(): Promise<void> {
    // What ends in this turn goes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_AT_ONCE);
      const settled = await this.#commit(batch.map(({ settlement }) => settlement));
      batch.forEach(({ resolve }, at) => resolve(settled[at] ?? 'gone'));
    }
    this.#writing = undefined;
  }

  async #commit(settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    const { store, resultBytes, tooLarge, onEnded, now, log } = this.#options;
    for (;;) {
      try {
        const { settled, ended } = await store.transaction((tx) =>
          tx.taskClaims.settle(settlements, { resultBytes, tooLarge }, now()),
        );
        for (const one of ended) onEnded(one);
        return settled;
      } catch (error) {
        log.error({ err: error, subtasks: settlements.length }, 'results of subtasks could not be stored');
        if (this.#givenUp) return [];
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
