/**
 * How many may be in flight at once after a death whose cause is unknown: one, then twice as many after each
 * success, then no bound. What dies alone is the culprit; what survives is let go quickly.
 */
export class SlowStart {
  readonly #full: number;
  #limit: number;

  constructor(full: number) {
    this.#full = full;
    this.#limit = Infinity;
  }

  get limit(): number {
    return this.#limit;
  }

  died(): void {
    this.#limit = 1;
  }

  survived(): void {
    if (this.#limit === Infinity) return;
    this.#limit *= 2;
    if (this.#limit > this.#full) this.#limit = Infinity;
  }
}
