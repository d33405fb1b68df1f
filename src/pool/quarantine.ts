import type { Clock } from './clock.ts';

/** So many kills within a minute. */
const KILLS = 3;
const WINDOW_MS = 60_000;
const FIRST_MS = 10_000;
const LAST_MS = 15 * 60_000;
/** A version that killed nothing for this long after its quarantine starts from nothing. */
const FORGIVE_MS = 10 * 60_000;

interface Record {
  kills: number[];
  untilMs: number;
  lengthMs: number;
}

/**
 * Versions that kill their runner again and again. Three kills in a minute shut a version out for 10 s. After that it may try
 * again, and its first kill shuts it out for twice as long, up to a quarter of an hour.
 */
export class Quarantine {
  readonly #clock: Clock;
  readonly #records = new Map<string, Record>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until the version may run; 0 where it may. */
  remainingMs(version: string): number {
    if (this.#records.size === 0) return 0;
    const record = this.#records.get(version);
    return record ? Math.max(0, record.untilMs - this.#clock.now()) : 0;
  }

  /** The version killed its runner. True when that shuts it out. */
  kill(version: string): boolean {
    const now = this.#clock.now();
    const record = this.#records.get(version) ?? { kills: [], untilMs: 0, lengthMs: 0 };
    this.#records.set(version, record);
    if (record.untilMs > now) return false;
    if (record.lengthMs > 0 && now - record.untilMs > FORGIVE_MS) record.lengthMs = 0;
    record.kills = [...record.kills.filter((at) => now - at < WINDOW_MS), now];
    if (record.lengthMs === 0 && record.kills.length < KILLS) return false;
    record.lengthMs = Math.min(LAST_MS, record.lengthMs === 0 ? FIRST_MS : record.lengthMs * 2);
    record.untilMs = now + record.lengthMs;
    record.kills = [];
    return true;
  }

  /** Drops what no longer matters. */
  sweep(): void {
    const now = this.#clock.now();
    for (const [version, { kills, untilMs }] of this.#records) {
      const last = kills.at(-1) ?? 0;
      if (now - last > WINDOW_MS && now - untilMs > FORGIVE_MS) this.#records.delete(version);
    }
  }
}
