/** What the watchdog looks at. */
export interface Watched {
  /** An entry is running. */
  readonly entered: boolean;
  /** CPU limit of one invocation, in milliseconds. */
  readonly cpuLimitMs: number;
  /** Samples the CPU clock, and ends the isolate where a limit is broken. */
  check(): void;
}

const MAX_INTERVAL_MS = 10;
const MIN_INTERVAL_MS = 2;
const IDLE_TICKS = 50;

/**
 * Polls the CPU clocks of the isolates that are running. Polling, because isolated-vm's own timeout ends with the
 * synchronous part of a call: code after an `await` ran on past it. One timer for all, stopped when nothing runs.
 */
export class Watchdog {
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;
  #intervalMs = MAX_INTERVAL_MS;
  #idleTicks = 0;

  add(isolate: Watched): void {
    this.#watched.add(isolate);
    const wanted = Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, isolate.cpuLimitMs / 4));
    if (wanted < this.#intervalMs) {
      this.#intervalMs = wanted;
      this.#stop();
    }
  }

  remove(isolate: Watched): void {
    this.#watched.delete(isolate);
  }

  /** An entry begins. */
  wake(): void {
    this.#idleTicks = 0;
    this.#timer ??= setInterval(() => this.#tick(), this.#intervalMs);
  }

  #tick(): void {
    let running = false;
    for (const isolate of this.#watched) {
      if (!isolate.entered) continue;
      running = true;
      isolate.check();
    }
    if (running) this.#idleTicks = 0;
    else if (++this.#idleTicks > IDLE_TICKS) this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
