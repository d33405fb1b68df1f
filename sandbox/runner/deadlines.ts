export interface Timed {
  /** Milliseconds on the monotonic clock. */
  readonly deadline: number;
}

/**
 * One timer for all deadlines: it is set to the earliest one seen, and when it fires everything in flight is looked
 * at once. Invocations mostly end long before, so a timer (or a place in a heap) for each would be work for nothing.
 */
export class Deadlines<T extends Timed> {
  readonly #now: () => number;
  readonly #inFlight: () => Iterable<T>;
  readonly #expire: (timed: T) => void;
  #timer: NodeJS.Timeout | undefined;
  #setFor = Infinity;

  constructor(options: {
    readonly now: () => number;
    readonly inFlight: () => Iterable<T>;
    readonly expire: (timed: T) => void;
  }) {
    this.#now = options.now;
    this.#inFlight = options.inFlight;
    this.#expire = options.expire;
  }

  add(deadline: number): void {
    if (deadline >= this.#setFor) return;
    this.#setFor = deadline;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fire(), Math.max(0, Math.ceil(deadline - this.#now())));
  }

  #fire(): void {
    this.#setFor = Infinity;
    const now = this.#now();
    const expired: T[] = [];
    let next = Infinity;
    for (const timed of this.#inFlight()) {
      if (timed.deadline <= now) expired.push(timed);
      else if (timed.deadline < next) next = timed.deadline;
    }
    for (const timed of expired) this.#expire(timed);
    if (next < Infinity) this.add(next);
  }
}
