import { isUtf8 } from 'node:buffer';
import { APART, INBOX_AT, isApart, ITEM_SLOTS, MAX_ITEMS, type Body } from '../bridge/wire.ts';

/** A batch should stay below this share of one invocation's CPU limit, so that an honest batch is never cut off. */
const CPU_SHARE = 0.25;
/** Weight of the newest figure in the running mean of CPU per item. */
const NEWEST = 0.2;

/** One thing that waits to enter the isolate. */
export interface Item {
  readonly type: number;
  readonly id: number;
  readonly head: string;
  readonly body: Body;
}

/** Bytes that are text enter as text, so that the guest needs no decoder: the two hold the same bytes. */
export function textOrBytes(body: Buffer): string | Uint8Array {
  if (body.length === 0) return '';
  return isUtf8(body) ? body.toString('utf8') : body;
}

/**
 * What waits while an entry runs, and how much of it the next entry takes: as many as fit a quarter of the CPU limit
 * by the mean of what items took so far. Before there is a figure, one; a suspect isolate takes one always, because
 * who broke a limit is certain only for an entry of one.
 */
export class Intake {
  readonly #limitUs: number;
  #single: boolean;
  #items: Item[] = [];
  #meanUs: number | undefined;

  constructor(cpuLimitMs: number, single: boolean) {
    this.#limitUs = cpuLimitMs * 1_000;
    this.#single = single;
  }

  get waiting(): number {
    return this.#items.length;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** From now on one item an entry: what runs then is certain to be that one's. */
  oneByOne(): void {
    this.#single = true;
  }

  /** Takes an item back that has not entered; true where it was there. */
  remove(id: number, type: number): boolean {
    const at = this.#items.findIndex((item) => item.id === id && item.type === type);
    if (at < 0) return false;
    this.#items.splice(at, 1);
    return true;
  }

  /** The next batch; empty when nothing waits. */
  take(): Item[] {
    const size = this.#batchSize();
    if (this.#items.length <= size) {
      const all = this.#items;
      this.#items = [];
      return all;
    }
    return this.#items.splice(0, size);
  }

  /** What an entry with so many invocations took, in microseconds of CPU. */
  learn(invocations: number, us: number): void {
    const each = us / invocations;
    this.#meanUs = this.#meanUs === undefined ? each : this.#meanUs + NEWEST * (each - this.#meanUs);
  }

  #batchSize(): number {
    if (this.#single || this.#meanUs === undefined) return 1;
    return Math.max(1, Math.min(MAX_ITEMS, Math.floor((this.#limitUs * CPU_SHARE) / (this.#meanUs + 1))));
  }
}

/** What the guest's `deliver` takes: the items' numbers go into the shared memory, which the last entry is done with. */
export function packItems(
  items: readonly Item[],
  memory: Int32Array,
): { readonly text: string; readonly apart: readonly Body[] | undefined } {
  let text = '';
  let apart: Body[] | undefined;
  let slot = INBOX_AT;
  for (const { type, id, head, body } of items) {
    memory[slot] = type;
    memory[slot + 1] = id;
    memory[slot + 2] = head.length;
    text += head;
    if (isApart(body)) {
      memory[slot + 3] = APART;
      (apart ??= []).push(body);
    } else {
      memory[slot + 3] = body.length;
      text += body as string;
    }
    slot += ITEM_SLOTS;
  }
  return { text, apart };
}
