import { FromGuest } from '../bridge/wire.ts';
import type { Current } from './current.ts';
import type { Outbox } from './outbox.ts';
import { createTable, DateNow, MathMax } from './primordials.ts';

interface Timer {
  readonly id: number;
  readonly callback: () => void;
  /** -1 for a timer that fires once. */
  readonly repeatMs: number;
  readonly owner: number;
  due: number;
  seq: number;
  live: boolean;
}

export interface TimerQueue {
  set(callback: () => void, delayMs: number, repeat: boolean): number;
  clear(id: number): void;
  /** Runs what is due. */
  wake(): void;
}

/** The isolate's timers: a heap by due time, and one message to the runner for the earliest of them. */
export function createTimerQueue(
  outbox: Outbox,
  current: Current,
  report: (error: unknown) => void,
): TimerQueue {
  const heap: Timer[] = [];
  let size = 0;
  const { get, set: put, delete: remove } = createTable<number, Timer>();
  let nextId = 1;
  let nextSeq = 0;
  let wakeAt = Infinity;

  const before = (a: Timer, b: Timer): boolean => a.due < b.due || (a.due === b.due && a.seq < b.seq);
  const push = (timer: Timer): void => {
    timer.seq = nextSeq++;
    let at = size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent]!, timer)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  };
  const pop = (): void => {
    const last = heap[--size]!;
    heap.length = size;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child++;
      if (before(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  };
  const arm = (now: number): void => {
    while (size > 0 && !heap[0]!.live) pop();
    if (size === 0 || heap[0]!.due >= wakeAt) return;
    wakeAt = heap[0]!.due;
    outbox.add(FromGuest.timer, MathMax(1, wakeAt - now), '');
  };

  return {
    set(callback, delayMs, repeat) {
      const delay = MathMax(1, delayMs);
      const now = DateNow();
      const id = nextId++;
      const timer: Timer = {
        id,
        callback,
        repeatMs: repeat ? delay : -1,
        owner: current.id(),
        due: now + delay,
        seq: 0,
        live: true,
      };
      put(id, timer);
      push(timer);
      arm(now);
      return id;
    },
    clear(id) {
      const timer = get(id);
      if (timer === undefined) return;
      timer.live = false;
      remove(id);
    },
    wake() {
      wakeAt = Infinity;
      const now = DateNow();
      // A timer that is set while these run gets a later number: a chain of setTimeout(0) can't hold this loop.
      const lastSeq = nextSeq;
      while (size > 0 && heap[0]!.due <= now && heap[0]!.seq < lastSeq) {
        const timer = heap[0]!;
        pop();
        if (!timer.live) continue;
        if (timer.repeatMs < 0) {
          timer.live = false;
          remove(timer.id);
        } else {
          timer.due = now + timer.repeatMs;
          push(timer);
        }
        current.enter(timer.owner);
        try {
          timer.callback();
        } catch (error) {
          report(error);
        }
      }
      arm(DateNow());
    },
  };
}
