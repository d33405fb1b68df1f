import { Marker, TOUCHED_MAX } from '../bridge/wire.ts';

/** Background work may use a tenth of a core in the long run: microseconds of CPU that drain in a millisecond. */
const BACKGROUND_DRAIN_US_PER_MS = 100;

/** An invocation as the meter sees it. */
export interface Metered {
  readonly id: number;
  readonly entered: boolean;
  cpuUs: number;
}

/**
 * What runs is known by the wall clock: isolated-vm tells the thread's own CPU of an entry when that has ended. On a busy machine most of
 * a long entry may be waiting for a processor; beyond this the process's CPU, which no part of it can exceed, is asked for.
 */
const TRUSTED_US = 2_000;

/** Who broke the CPU limit. `culprit` is 0 where that can't be known, or where it was background work. */
export interface CpuBreach {
  readonly culprit: number;
  readonly background: boolean;
}

/**
 * Shares out an isolate's CPU time. isolated-vm tells one figure for the whole isolate, and the guest tells through
 * the shared marker whom its current entry touched; each sample's share goes to the invocation that runs, else
 * equally to those that the entry touched, else to all in flight. What timers of finished invocations and of
 * `onStart` use is background work, with a leaking bucket of its own.
 */
export class Meter {
  readonly #cpuTime: () => bigint;
  readonly #processUs: () => number;
  readonly #now: () => number;
  readonly #marker: Int32Array;
  readonly #flights: ReadonlyMap<number, Metered>;
  readonly #limitUs: number;
  #lastUs = 0;
  #lastProcessUs = 0;
  /** CPU since the marker last changed. */
  #stretchUs = 0;
  #stretchOf = -1;
  #backgroundUs = 0;
  #drainedAt: number;
  /** Invocations that were in flight in this entry, and have their reply. */
  readonly #endedInEntry = new Set<number>();
  /** What they used of the entry after their replies left; nobody has been billed for it yet. */
  #tailUs = 0;
  #breach: CpuBreach | undefined;

  constructor(options: {
    /** Nanoseconds; isolated-vm's `isolate.cpuTime`. */
    readonly cpuTime: () => bigint;
    /** Microseconds of CPU that the whole process has used. */
    readonly processUs: () => number;
    /** Milliseconds, monotonic. */
    readonly now: () => number;
    readonly marker: Int32Array;
    readonly flights: ReadonlyMap<number, Metered>;
    readonly limitMs: number;
  }) {
    this.#cpuTime = options.cpuTime;
    this.#processUs = options.processUs;
    this.#now = options.now;
    this.#marker = options.marker;
    this.#flights = options.flights;
    this.#limitUs = options.limitMs * 1_000;
    this.#drainedAt = options.now();
  }

  /** Microseconds of CPU that the isolate has used since it was made. */
  get totalUs(): number {
    return this.#lastUs;
  }

  /** Forgets what was used so far, and who was over the limit: the start of a lambda has a limit of its own. */
  started(): void {
    this.#lastUs = this.#readUs();
    this.#lastProcessUs = this.#processUs();
    this.#stretchUs = 0;
    this.#backgroundUs = 0;
    this.#breach = undefined;
  }

  /** Before each entry: the guest is not running, so the marker is the runner's to reset. */
  beginEntry(): void {
    this.#lastProcessUs = this.#processUs();
    this.#marker[Marker.running] = 0;
    this.#marker[Marker.touched] = 0;
    this.#stretchUs = 0;
    this.#stretchOf = -1;
    this.#endedInEntry.clear();
  }

  /**
   * An invocation has its reply, and leaves. Returns the CPU to bill it for: its own, and the rest of the entries before,
   * which ran on after their replies had been posted (a quarter of an echo's CPU: it must not count as background work).
   */
  leave(flight: Metered): number {
    this.#endedInEntry.add(flight.id);
    const us = flight.cpuUs + this.#tailUs;
    this.#tailUs = 0;
    return us;
  }

  /** Reads the clock and shares out what was used since the last sample. Returns whoever is over the limit. */
  sample(): CpuBreach | undefined {
    const spent = this.#spent();
    if (spent <= 0) return this.#breach;
    const running = this.#marker[Marker.running]! >>> 0;
    const touched = this.#marker[Marker.touched]!;
    const moved = this.#stretchOf !== running;
    this.#stretchOf = running;
    // The time before a move belongs to several: it must not be held against the one that runs now.
    if (moved && touched > 1) {
      this.#stretchUs = 0;
      this.#share(this.#touchedIds(touched), spent);
    } else {
      this.#stretchUs += spent;
      if (running !== 0) this.#charge(running, spent);
      else this.#share(this.#touchedIds(touched), spent);
    }
    if (this.#stretchUs > this.#limitUs) this.#breach ??= { culprit: running, background: touched === 0 };
    return this.#breach;
  }

  /** Since the last sample. When an entry ends, its wall time gives way to its CPU: the figure may go back then. */
  #spent(): number {
    const us = this.#readUs();
    const spent = us - this.#lastUs;
    this.#lastUs = us;
    if (spent <= TRUSTED_US) return spent;
    const process = this.#processUs();
    const most = process - this.#lastProcessUs;
    this.#lastProcessUs = process;
    return Math.min(spent, most);
  }

  #readUs(): number {
    try {
      return Number(this.#cpuTime() / 1_000n);
    } catch {
      return this.#lastUs; // disposed meanwhile
    }
  }

  #touchedIds(touched: number): number[] {
    const ids: number[] = [];
    if (touched > 0 && touched <= TOUCHED_MAX) {
      for (let i = 0; i < touched; i++) ids.push(this.#marker[Marker.firstTouched + i]! >>> 0);
      if (!ids.includes(0)) return ids;
      ids.length = 0;
    }
    if (touched === 0) return [0];
    for (const flight of this.#flights.values()) if (flight.entered) ids.push(flight.id);
    return ids.length === 0 ? [0] : ids;
  }

  #share(ids: readonly number[], us: number): void {
    const each = us / ids.length;
    for (const id of ids) this.#charge(id, each);
  }

  #charge(id: number, us: number): void {
    const flight = this.#flights.get(id);
    if (flight !== undefined) {
      flight.cpuUs += us;
      if (flight.cpuUs > this.#limitUs) this.#breach ??= { culprit: id, background: false };
      return;
    }
    // The tail of its own entry: what bounds it is the limit on a stretch of one entry. A later entry, by a timer that
    // it left behind, is background work.
    if (this.#endedInEntry.has(id)) {
      this.#tailUs += us;
      return;
    }
    const now = this.#now();
    const drained = (now - this.#drainedAt) * BACKGROUND_DRAIN_US_PER_MS;
    this.#drainedAt = now;
    this.#backgroundUs = Math.max(0, this.#backgroundUs - drained) + us;
    if (this.#backgroundUs > this.#limitUs) this.#breach ??= { culprit: 0, background: true };
  }
}
