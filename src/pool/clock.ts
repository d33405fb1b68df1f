/** Time, as the pool sees it; passed in so that tests need no waiting. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls once, after so many milliseconds; gives the way to call it off. */
  after(ms: number, run: () => void): () => void;
}

/** The machine's clock. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return () => clearTimeout(timer);
  },
};
