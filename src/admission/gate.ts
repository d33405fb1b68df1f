import { TokenBucket } from './token-bucket.ts';

/** What a host's callers ask for of one account or lambda. */
export interface Demand {
  /** Calls per second. */
  readonly rate: number;
  /** Calls at once, those that wait among them. */
  readonly places: number;
  /** Calls in flight. */
  readonly taken: number;
}

/** What an account or a lambda has in flight, and its rate. Made on first use, dropped when it is idle again. */
export class Gate {
  inFlight = 0;
  /** Wait for a place. */
  waiting = 0;
  /** The limits as they were at the last call. */
  rateLimit: number;
  placesLimit: number;
  /** This host's parts of them: all, unless there are other hosts. */
  rateFraction = 1;
  placesFraction = 1;
  readonly bucket: TokenBucket;
  /** Calls since the last measurement, whatever became of them. */
  #asked = 0;
  /** The most that were in flight or waiting since then. */
  #peak = 0;
  #rate = 0;

  constructor(rateLimit: number, placesLimit: number, nowMs: number) {
    this.rateLimit = rateLimit;
    this.placesLimit = placesLimit;
    // Full; what is above this host's part runs over with the first call.
    this.bucket = new TokenBucket(rateLimit, nowMs);
  }

  /** A call came. */
  ask(rateLimit: number, placesLimit: number): void {
    this.rateLimit = rateLimit;
    this.placesLimit = placesLimit;
    this.#asked += 1;
    const wanted = this.inFlight + this.waiting + 1;
    if (wanted > this.#peak) this.#peak = wanted;
  }

  /** Calls per second that this host may let in. */
  get rate(): number {
    return this.rateLimit * this.rateFraction;
  }

  /** Of those that may be in flight here, as the newest deployment says: whoever waits is let in by what is in force now. */
  get hasRoom(): boolean {
    if (this.placesFraction === 1) return this.inFlight < this.placesLimit;
    // One at least, or a host with a small part would let nothing in.
    return this.inFlight < Math.max(1, Math.floor(this.placesLimit * this.placesFraction + 1e-6));
  }

  /** What is asked for: calls per second, smoothed, and the most places since the last time. */
  measure(seconds: number, newest: number): Demand {
    if (seconds > 0) this.#rate = (1 - newest) * this.#rate + (newest * this.#asked) / seconds;
    const places = Math.max(this.#peak, this.inFlight + this.waiting);
    this.#asked = 0;
    this.#peak = 0;
    return { rate: this.#rate, places, taken: this.inFlight };
  }
}
