/** Fills at `rate` tokens a second up to twice the rate (the burst); one token an invocation. */
export class TokenBucket {
  #tokens: number;
  #filledAtMs: number;

  constructor(rate: number, nowMs: number) {
    this.#tokens = burstOf(rate);
    this.#filledAtMs = nowMs;
  }

  /** Takes a token: 0 when there was one, else the milliseconds until there is. A changed rate counts from now on. */
  take(rate: number, nowMs: number): number {
    this.#fill(rate, nowMs);
    if (this.#tokens >= ONE_TOKEN) {
      this.#tokens = Math.max(0, this.#tokens - 1);
      return 0;
    }
    return ((1 - this.#tokens) / rate) * 1_000;
  }

  /** Gives back a token that was taken for nothing. */
  restore(): void {
    this.#tokens += 1;
  }

  /** Untouched for so long that a new bucket would hold no less. */
  rests(nowMs: number): boolean {
    return nowMs - this.#filledAtMs > FILLED_AFTER_MS;
  }

  #fill(rate: number, nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#filledAtMs);
    this.#tokens = Math.min(burstOf(rate), this.#tokens + (elapsedMs / 1_000) * rate);
    this.#filledAtMs = nowMs;
  }
}

// Sums of fractions fall short of one by a hair: who waited as long as was said would be told to wait for picoseconds more.
const ONE_TOKEN = 1 - 1e-6;

// Twice the rate is filled within two seconds, at any rate above one a second; below it, the burst is one token.
const FILLED_AFTER_MS = 120_000;

// A rate below one a second must still let single invocations through.
const burstOf = (rate: number): number => Math.max(1, 2 * rate);
