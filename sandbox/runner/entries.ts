import { ToGuest } from '../bridge/wire.ts';
import type { BootedGuest } from './boot.ts';
import { Brevity } from './brevity.ts';
import { Intake, type Item } from './intake.ts';

export interface EntriesParts {
  /** Milliseconds of CPU that one invocation may use: a batch is made so that an honest one stays below. */
  readonly cpuLimitMs: number;
  /** One item an entry from the start. */
  readonly single: boolean;
  /** Microseconds of CPU that the isolate has used. */
  readonly usedUs: () => number;
  /** Whether this may run inline, on the runner's own thread: what else the runner has to do waits for it. */
  readonly mayHoldUp: (item: Item) => boolean;
  readonly onBegin: (items: readonly Item[]) => void;
  /** `error`: what left the guest, which catches all that handlers throw. False where the isolate is gone. */
  readonly onEnd: (error: unknown) => boolean;
}

/**
 * The entries into one isolate: what waits enters in a batch, and while an entry runs nothing else enters. A single item of a lambda whose
 * entries are brief may run inline (docs/decisions/inline-entries.md).
 */
export class Entries {
  readonly #parts: EntriesParts;
  readonly #intake: Intake;
  /** What came while the lambda was starting: its timers enter meanwhile, its invocations must not. */
  #early: Item[] | undefined = [];
  #guest: BootedGuest | undefined;
  #running: 'no' | 'apart' | 'inline' = 'no';
  readonly #brevity = new Brevity();
  /** Set where the isolate was closed while an entry ran. */
  #stuckTimer: NodeJS.Timeout | undefined;

  constructor(parts: EntriesParts) {
    this.#parts = parts;
    this.#intake = new Intake(parts.cpuLimitMs, parts.single);
  }

  /** An entry is running. */
  get running(): boolean {
    return this.#running !== 'no';
  }

  /** The entry that is running holds this thread. */
  get inline(): boolean {
    return this.#running === 'inline';
  }

  /** The guest is there: what is pushed can enter. */
  open(guest: BootedGuest): void {
    this.#guest = guest;
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
    const guest = this.#guest;
    if (this.running || guest === undefined) return;
    const items = this.#intake.take();
    if (items.length === 0) return;
    const inline = items.length === 1 && this.#brevity.isHabit && this.#parts.mayHoldUp(items[0]!);
    this.#running = inline ? 'inline' : 'apart';
    this.#parts.onBegin(items);
    const before = this.#parts.usedUs();
    if (inline)
      return this.#ended(
        items,
        before,
        thrownBy(() => guest.deliverInline(items)),
      );
    guest.deliver(items).then(
      () => this.#ended(items, before, undefined),
      (error: unknown) => this.#ended(items, before, error ?? new Error('unknown error')),
    );
  }

  #ended(items: readonly Item[], before: number, error: unknown): void {
    this.#running = 'no';
    clearTimeout(this.#stuckTimer);
    if (!this.#parts.onEnd(error)) return;
    const invoked = items.reduce((count, { type }) => count + (type === ToGuest.invoke ? 1 : 0), 0);
    const used = this.#parts.usedUs() - before;
    this.#brevity.learn(used);
    if (invoked > 0) this.#intake.learn(invoked, used);
    this.enter();
  }

  /** Nothing enters any more. `onStuck` is told where the entry that runs has not ended after so many milliseconds. */
  close(ms: number, onStuck: () => void): void {
    this.#guest = undefined;
    if (this.running) this.#stuckTimer = setTimeout(onStuck, ms);
  }
}

function thrownBy(run: () => void): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error ?? new Error('unknown error');
  }
}
