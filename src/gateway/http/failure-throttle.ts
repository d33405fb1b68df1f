/** Counts failed attempts by address: more than `limit` within a window must wait until its end. */
export interface FailureThrottle {
  /** Notes a failure; the milliseconds to wait when there were too many, else 0. */
  failed(address: string): number;
}

export interface FailureThrottleOptions {
  readonly now: () => number;
  readonly limit?: number;
  readonly windowMs?: number;
}

export function createFailureThrottle({ now, limit = 50, windowMs = 60_000 }: FailureThrottleOptions): FailureThrottle {
  let windowEndsMs = now() + windowMs;
  let failures = new Map<string, number>();
  return {
    failed(address) {
      const nowMs = now();
      if (nowMs >= windowEndsMs) {
        windowEndsMs = nowMs + windowMs;
        failures = new Map();
      }
      const count = (failures.get(address) ?? 0) + 1;
      // Bounded: past this many addresses within a window, new ones are not counted.
      if (failures.size < 100_000 || failures.has(address)) failures.set(address, count);
      return count > limit ? windowEndsMs - nowMs : 0;
    },
  };
}
