import { APART, ITEM_SLOTS, type Body } from '../bridge/wire.ts';

/**
 * Cuts what a guest posted into its items. Numbers that make no sense give empty texts, never those of another batch;
 * whether an item may say what it says is for the receiver to judge.
 */
export function eachPosted(
  index: unknown,
  text: unknown,
  apart: unknown,
  receive: (type: number, id: number, head: string, body: Body) => void,
): void {
  if (typeof index !== 'string' || typeof text !== 'string') return;
  const bodies: readonly unknown[] = Array.isArray(apart) ? apart : [];
  const numbers = index.split(',');
  let at = 0;
  let aparts = 0;
  for (let i = 0; i + ITEM_SLOTS < numbers.length; i += ITEM_SLOTS) {
    const id = Number(numbers[i + 1]);
    if (!Number.isFinite(id)) continue;
    const bodyAt = at + Number(numbers[i + 2]);
    const bodyChars = Number(numbers[i + 3]);
    const isApart = bodyChars === APART;
    const end = isApart ? bodyAt : bodyAt + bodyChars;
    const body = isApart ? bodies[aparts++] : text.slice(bodyAt, end);
    receive(
      Number(numbers[i]),
      id,
      text.slice(at, bodyAt),
      typeof body === 'string' || body instanceof Uint8Array ? body : '',
    );
    at = end;
  }
}
