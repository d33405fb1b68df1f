/** A runner whose answers usually take longer is waited for asleep: an eighth of each new answer's time counts. */
const SMOOTHING = 1 / 8;
/** One very long answer must not hide the next hundred short ones. */
const LONGEST_COUNTED = 4;

/**
 * Waits awake for an answer that is due at once. A process that sleeps in the kernel takes 50 us and more to come back on a
 * virtual machine, and whoever wakes it pays for that too: a fifth of the time of a request that is alone. So the event loop
 * turns without sleeping for as long as this runner's answers usually take, at most `mostUs`. Where they take longer, as on
 * a busy machine, nothing is polled (docs/decisions/answer-polling.md).
 */
export class AnswerPoll {
  readonly #mostMs: number;
  /** Milliseconds that answers took lately; 0 before the first. */
  #usualMs = 0;
  /** When the invocation that waits for its answer left; 0 where none does. */
  #askedAt = 0;
  #turning = false;

  /** `mostUs` 0: never polls. */
  constructor(mostUs: number) {
    this.#mostMs = mostUs / 1_000;
  }

  /** An invocation was sent. */
  asked(): void {
    if (this.#mostMs === 0 || this.#askedAt !== 0) return;
    this.#askedAt = performance.now();
    if (this.#turning || this.#usualMs === 0 || this.#usualMs > this.#mostMs) return;
    this.#turning = true;
    setImmediate(this.#turn);
  }

  /** The runner answered, or never will. */
  answered(): void {
    if (this.#askedAt === 0) return;
    const took = Math.min(performance.now() - this.#askedAt, LONGEST_COUNTED * this.#mostMs);
    this.#usualMs = this.#usualMs === 0 ? took : this.#usualMs + (took - this.#usualMs) * SMOOTHING;
    this.#askedAt = 0;
  }

  readonly #turn = (): void => {
    this.#turning = this.#askedAt !== 0 && performance.now() - this.#askedAt < this.#mostMs;
    if (this.#turning) setImmediate(this.#turn);
  };
}
