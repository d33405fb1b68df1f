/** Invocations of one account that wait for a place, in order of arrival. */
export interface Waiter {
  readonly lambdaId: string;
  /** Tries to enter now; false when its lambda is still full. */
  readonly enter: () => boolean;
}

export class WaitQueue {
  readonly #waiters = new Set<Waiter>();

  get length(): number {
    return this.#waiters.size;
  }

  add(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /**
   * Lets waiters in, the oldest first, until the account is full. A waiter whose own lambda is full is
   * passed over, so that one slow lambda does not hold back the account's others.
   */
  drain(accountHasRoom: () => boolean): void {
    const full = new Set<string>();
    for (const waiter of this.#waiters) {
      if (!accountHasRoom()) return;
      if (full.has(waiter.lambdaId)) continue;
      if (waiter.enter()) this.#waiters.delete(waiter);
      else full.add(waiter.lambdaId);
    }
  }
}
