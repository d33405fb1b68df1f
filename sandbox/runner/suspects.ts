const SUSPECT_MS = 60_000;

/**
 * Lambdas whose isolate was lost while nobody could say which invocation did it. For a minute their invocations enter
 * one at a time: then the next culprit is certain, and only it is refused.
 */
export class Suspects {
  readonly #now: () => number;
  readonly #until = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  add(lambdaId: string): void {
    this.#until.set(lambdaId, this.#now() + SUSPECT_MS);
  }

  has(lambdaId: string): boolean {
    const until = this.#until.get(lambdaId);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#until.delete(lambdaId);
    return false;
  }
}
