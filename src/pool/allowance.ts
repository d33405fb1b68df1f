import type { Clock } from './clock.ts';

/** So much per second, saved up for one second at most. */
export class Allowance {
  readonly #clock: Clock;
  #perS: number;
  #left: number;
  #at: number;

  constructor(clock: Clock, perS: number) {
    this.#clock = clock;
    this.#perS = perS;
    this.#left = perS;
    this.#at = clock.now();
  }

  get perS(): number {
    return this.#perS;
  }

  raiseTo(perS: number): void {
    if (perS <= this.#perS) return;
    this.#left += perS - this.#perS;
    this.#perS = perS;
  }

  /** False where it is used up; nothing is taken then. */
  take(amount: number): boolean {
    const now = this.#clock.now();
    // A clock that was set back adds nothing, and takes nothing away.
    const elapsedMs = Math.max(0, now - this.#at);
    this.#at = now;
    this.#left = Math.min(this.#perS, this.#left + (elapsedMs / 1000) * this.#perS);
    if (amount > this.#left) return false;
    this.#left -= amount;
    return true;
  }
}
