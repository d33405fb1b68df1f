import { ToGuest } from '../bridge/wire.ts';
import type { BootedGuest } from './boot.ts';
import { Intake, type Item } from './intake.ts';

export interface EntriesParts {
  /** Milliseconds of CPU that one invocation may use: a batch is made so that an honest one stays below. */
  readonly cpuLimitMs: number;
  /** One item an entry from the start. */
  readonly single: boolean;
  /** Microseconds of CPU that the isolate has used. */
  readonly usedUs: () => number;
  readonly onBegin: (items: readonly Item[]) => void;
  /** `error`: what left the guest, which catches all that handlers throw. False where the isolate is gone. */
  readonly onEnd: (error: unknown) => boolean;
}

/** The entries into one isolate: what waits enters in a batch, and while an entry runs nothing else enters. */
export class Entries {
  readonly #parts: EntriesParts;
  readonly #intake: Intake;
  /** What came while the lambda was starting: its timers enter meanwhile, its invocations must not. */
  #early: Item[] | undefined = [];
  #deliver: BootedGuest['deliver'] | undefined;
  #running = false;
  /** Set where the isolate was closed while an entry ran. */
  #stuckTimer: NodeJS.Timeout | undefined;

  constructor(parts: EntriesParts) {
    this.#parts = parts;
    this.#intake = new Intake(parts.cpuLimitMs, parts.single);
  }

  /** An entry is running. */
  get running(): boolean {
    return this.#running;
  }

  /** The guest is there: what is pushed can enter. */
  open(deliver: BootedGuest['deliver']): void {
    this.#deliver = deliver;
  }

  /** The lambda has started: what was queued can enter too. */
  started(): void {
    for (const item of this.#early ?? []) this.#intake.push(item);
    this.#early = undefined;
  }

  /** For the next entry, also while the lambda starts. */
  push(item: Item): void {
    this.#intake.push(item);
  }

  /** For the next entry after the lambda's start. */
  queue(item: Item): void {
    (this.#early ?? this.#intake).push(item);
  }

  /** Takes an invocation back that has not entered. */
  takeBack(id: number): void {
    this.#intake.remove(id, ToGuest.invoke);
    this.#early = this.#early?.filter((item) => item.id !== id);
  }

  /** From now on one item an entry: what runs then is certain to be that one's. */
  oneByOne(): void {
    this.#intake.oneByOne();
  }

  /** Lets what waits enter, unless an entry is running; then it enters after that. */
  enter(): void {
    const deliver = this.#deliver;
    if (this.#running || deliver === undefined) return;
    const items = this.#intake.take();
    if (items.length === 0) return;
    this.#running = true;
    this.#parts.onBegin(items);
    const before = this.#parts.usedUs();
    deliver(items).then(
      () => this.#ended(items, before, undefined),
      (error: unknown) => this.#ended(items, before, error ?? new Error('unknown error')),
    );
  }

  #ended(items: readonly Item[], before: number, error: unknown): void {
    this.#running = false;
    clearTimeout(this.#stuckTimer);
    if (!this.#parts.onEnd(error)) return;
    const invoked = items.reduce((count, { type }) => count + (type === ToGuest.invoke ? 1 : 0), 0);
    if (invoked > 0) this.#intake.learn(invoked, this.#parts.usedUs() - before);
    this.enter();
  }

  /** Nothing enters any more. `onStuck` is told where the entry that runs has not ended after so many milliseconds. */
  close(ms: number, onStuck: () => void): void {
    this.#deliver = undefined;
    if (this.#running) this.#stuckTimer = setTimeout(onStuck, ms);
  }
}
