/** A piece of work in a queue. */
export interface Queued<T> {
  /** Settles with the work; rejects with the signal's reason where it was aborted before it began. */
  readonly done: Promise<T>;
  readonly started: boolean;
}

interface Waiting {
  begin(): void;
  drop(reason: unknown): void;
  readonly signal: AbortSignal | undefined;
}

/**
 * So many at once, and the accounts take turns: one that uploads a hundred archives doesn't keep another's one waiting
 * behind them.
 */
export class FairQueue {
  readonly #concurrency: number;
  #running = 0;
  #waiting = 0;
  /** Accounts with work waiting; the one whose turn is next comes first. */
  readonly #turns = new Map<string, Waiting[]>();

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Pieces of work that have not begun. */
  get waiting(): number {
    return this.#waiting;
  }

  run<T>(accountId: string, work: () => Promise<T>, signal?: AbortSignal): Queued<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const queued = { done: promise, started: false };
    const waiting: Waiting = {
      signal,
      drop: reject,
      begin: () => {
        queued.started = true;
        this.#running += 1;
        work()
          .then(resolve, reject)
          .finally(() => {
            this.#running -= 1;
            this.#next();
          });
      },
    };
    const turn = this.#turns.get(accountId);
    if (turn === undefined) this.#turns.set(accountId, [waiting]);
    else turn.push(waiting);
    this.#waiting += 1;
    this.#next();
    return queued;
  }

  #next(): void {
    while (this.#running < this.#concurrency) {
      const [accountId, turn] = this.#turns.entries().next().value ?? [];
      if (accountId === undefined || turn === undefined) return;
      this.#turns.delete(accountId);
      const waiting = turn.shift()!;
      this.#waiting -= 1;
      // Behind all others: its next piece waits until each of them had a turn.
      if (turn.length > 0) this.#turns.set(accountId, turn);
      if (waiting.signal?.aborted === true) waiting.drop(waiting.signal.reason);
      else waiting.begin();
    }
  }
}
