import { APART, isApart, type Body, type Post } from '../bridge/wire.ts';
import { soon } from './primordials.ts';

/**
 * What goes to the runner. Items of one entry leave in one call, from a microtask behind those that were queued when
 * the first item came: so the results of a batch's invocations, which settle one after the other, go together.
 */
export interface Outbox {
  add(type: number, id: number, head: string, body?: Body): void;
  /** Sends at once: what was said just before an endless loop must not be lost with the isolate. */
  flush(): void;
}

/** `way`: the way out that fits the entry that runs. */
export function createOutbox(way: () => Post): Outbox {
  let index = '';
  let text = '';
  let apart: Body[] = [];
  let aparts = 0;
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (index === '') return;
    const items = index;
    const texts = text;
    const bodies = apart;
    const none = aparts === 0;
    index = '';
    text = '';
    const post = way();
    if (none) return post(items, texts);
    apart = [];
    aparts = 0;
    post(items, texts, bodies);
  };
  return {
    add(type, id, head, body = '') {
      if (isApart(body)) {
        apart[aparts++] = body;
        index += `${type},${id},${head.length},${APART},`;
        text += head;
      } else {
        index += `${type},${id},${head.length},${body.length},`;
        text += head + (body as string);
      }
      if (scheduled) return;
      scheduled = true;
      void soon(flush);
    },
    flush,
  };
}
