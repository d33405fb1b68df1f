import { APART, INBOX_AT, ITEM_SLOTS, type Body } from '../bridge/wire.ts';
import { sliceText } from './primordials.ts';

/**
 * Cuts a delivered batch into its items. What is thrown while one is handled is reported, and the next follows. An id is
 * an unsigned number, and ids of this size are rare: so it is read as such here.
 */
export function createInbox(
  memory: Int32Array,
  handle: (type: number, id: number, head: string, body: Body) => void,
  report: (error: unknown) => void,
): (count: number, text: string, apart: readonly Body[]) => void {
  return (count, text, apart) => {
    const end = INBOX_AT + count * ITEM_SLOTS;
    let at = 0;
    let aparts = 0;
    for (let slot = INBOX_AT; slot < end; slot += ITEM_SLOTS) {
      const bodyAt = at + memory[slot + 2]!;
      const bodyChars = memory[slot + 3]!;
      const head = sliceText(text, at, bodyAt);
      let body: Body;
      if (bodyChars === APART) {
        body = apart[aparts++]!;
        at = bodyAt;
      } else {
        at = bodyAt + bodyChars;
        body = sliceText(text, bodyAt, at);
      }
      try {
        handle(memory[slot]!, memory[slot + 1]! >>> 0, head, body);
      } catch (error) {
        report(error);
      }
    }
  };
}
