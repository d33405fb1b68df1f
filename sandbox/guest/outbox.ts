import { ITEM_SLOTS, type Batch } from '../bridge/wire.ts';
import { soon } from './primordials.ts';

/**
 * What goes to the runner. Items of one entry leave in one call, from a microtask behind those that were queued when
 * the first item came: so the results of a batch's invocations, which settle one after the other, go together.
 */
export interface Outbox {
  add(type: number, id: number, head: string, body?: string | Uint8Array): void;
  /** Sends at once: what was said just before an endless loop must not be lost with the isolate. */
  flush(): void;
}

export function createOutbox(post: (batch: Batch) => void): Outbox {
  let batch: Batch = [];
  let used = 0;
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (used === 0) return;
    const full = batch;
    batch = [];
    used = 0;
    post(full);
  };
  return {
    add(type, id, head, body = '') {
      batch[used] = type;
      batch[used + 1] = id;
      batch[used + 2] = head;
      batch[used + 3] = body;
      used += ITEM_SLOTS;
      if (scheduled) return;
      scheduled = true;
      void soon(flush);
    },
    flush,
  };
}
