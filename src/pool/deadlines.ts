import type { Clock } from './clock.ts';

/** How late a deadline may be told, at most; one timer serves all that end within it. */
export const SLOT_MS = 25;

/** Something with a deadline. `slot` is the wheel's own mark: 0 while it stands nowhere. */
export interface Expiring {
  slot: number;
  expire(): void;
}

/**
 * Deadlines of all invocations on one timer: a timer for each would cost more than the rest of the call.
 * Entries stand in slots of 25 ms; adding and removing is an insertion in a set.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #slots = new Map<number, Set<Expiring>>();
  #turned: number;
  #stop: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#turned = Math.floor(clock.now() / SLOT_MS);
  }

  now(): number {
    return this.#clock.now();
  }

  /** Entries that wait. */
  get size(): number {
    let size = 0;
    for (const slot of this.#slots.values()) size += slot.size;
    return size;
  }

  /** `atMs` in epoch milliseconds; a time that has passed expires at the next turn. Never earlier than `atMs`. */
  add(entry: Expiring, atMs: number): void {
    this.remove(entry);
    if (this.#slots.size === 0) this.#turned = Math.floor(this.#clock.now() / SLOT_MS);
    const slot = Math.max(Math.ceil(atMs / SLOT_MS), this.#turned + 1);
    entry.slot = slot;
    const there = this.#slots.get(slot);
    if (there) there.add(entry);
    else this.#slots.set(slot, new Set([entry]));
    this.#stop ??= this.#clock.after(SLOT_MS, this.#turn);
  }

  remove(entry: Expiring): void {
    if (entry.slot === 0) return;
    const there = this.#slots.get(entry.slot);
    if (there?.delete(entry) && there.size === 0) this.#slots.delete(entry.slot);
    entry.slot = 0;
  }

  readonly #turn = (): void => {
    this.#stop = undefined;
    const until = Math.floor(this.#clock.now() / SLOT_MS);
    // After a long pause there are fewer slots than turns missed.
    const due =
      until - this.#turned > this.#slots.size
        ? [...this.#slots.keys()].filter((slot) => slot <= until).sort((a, b) => a - b)
        : Array.from({ length: Math.max(0, until - this.#turned) }, (_, index) => this.#turned + 1 + index);
    this.#turned = Math.max(this.#turned, until);
    for (const slot of due) {
      const entries = this.#slots.get(slot);
      this.#slots.delete(slot);
      for (const entry of entries ?? []) {
        // An earlier one of this slot may have taken it off, or put it elsewhere.
        if (entry.slot !== slot) continue;
        entry.slot = 0;
        entry.expire();
      }
    }
    if (this.#slots.size > 0) this.#stop ??= this.#clock.after(SLOT_MS, this.#turn);
  };

  close(): void {
    this.#stop?.();
    this.#stop = undefined;
    for (const slot of this.#slots.values()) for (const entry of slot) entry.slot = 0;
    this.#slots.clear();
  }
}
