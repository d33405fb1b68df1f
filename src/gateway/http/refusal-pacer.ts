/** So many refusals of an asker go out at once in each second; a client that meets a limit now and then waits for none. */
const AT_ONCE_PER_S = 50;
const WINDOW_MS = 1_000;
/** Askers of a second; the counts begin anew with the next one, so that the map can't grow with those that ever were. */
type Counts = Map<string, number>;

/**
 * A flood that is refused at once is sent again at once: refusing it then takes all of the host's time, and the accounts beside it
 * wait behind it (a p99 of 29 times the quiet one, with 500 connections). Its refusals are held back instead, so that each connection
 * costs one refusal a second. That goes for guesses at what is not there, too.
 */
export class RefusalPacer {
  readonly #now: () => number;
  readonly #random: () => number;
  #counts: Counts = new Map();
  #windowAt = 0;

  constructor(now: () => number, random: () => number) {
    this.#now = now;
    this.#random = random;
  }

  /** Milliseconds for which one more refusal of the account, or of the address where there is none, is held back; mostly 0. */
  delayMs(asker: string): number {
    const now = this.#now();
    if (now - this.#windowAt >= WINDOW_MS) {
      this.#windowAt = now;
      this.#counts = new Map();
    }
    const count = (this.#counts.get(asker) ?? 0) + 1;
    this.#counts.set(asker, count);
    // Spread over a second: answered together, they would all come back together, and hold the loop up as one.
    return count <= AT_ONCE_PER_S ? 0 : Math.round(WINDOW_MS * (0.5 + this.#random()));
  }
}
