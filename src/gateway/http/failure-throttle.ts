/** Counts failed attempts by address: after `limit` of them within a window, an address must wait for its end. */
export interface FailureThrottle {
  failed(address: string): void;
  /** Milliseconds that the address must wait; 0 when it need not. */
  waitMs(address: string): number;
}

export interface FailureThrottleOptions {
  readonly now: () => number;
  readonly limit?: number;
  readonly windowMs?: number;
}

export function createFailureThrottle({
  now,
  limit = 50,
  windowMs = 60_000,
}: FailureThrottleOptions): FailureThrottle {
  let windowEndsMs = now() + windowMs;
  let failures = new Map<string, number>();
  const turnWindow = (): void => {
    if (now() < windowEndsMs) return;
    windowEndsMs = now() + windowMs;
    failures = new Map();
  };
  return {
    failed(address) {
      turnWindow();
      // Bounded: past this many addresses within a window, new ones are not counted.
      if (failures.size < MAX_ADDRESSES || failures.has(address))
        failures.set(address, (failures.get(address) ?? 0) + 1);
    },
    waitMs(address) {
      turnWindow();
      return (failures.get(address) ?? 0) >= limit ? windowEndsMs - now() : 0;
    },
  };
}

const MAX_ADDRESSES = 100_000;
