import { acceptBridgeCall } from '../bridge/call.ts';
import { acceptFailure, type AcceptedFailure } from '../bridge/failure.ts';
import { acceptWakeDelay } from '../bridge/timer.ts';
import { APART, FromGuest, ITEM_SLOTS, type Body } from '../bridge/wire.ts';
import type { Posted } from './boot.ts';
import type { Stacks } from './stacks.ts';

const BYTES_REPLY_HEAD =
  '{"kind":"reply","status":200,"headers":["content-type","application/octet-stream"]}';
const JSON_REPLY_HEAD = '{"kind":"reply","status":200,"headers":["content-type","application/json"]}';

/** Who hears what a guest says, each after it was checked for what the runner does with it. */
export interface GuestListener {
  /** `head` of a ReplyHead is the guest's word still. */
  onReply(id: number, head: string, body: Body): void;
  onFailure(id: number, failed: AcceptedFailure): void;
  /** JSON of lines, separated by commas, and how many were dropped before them. */
  onLog(lines: string, dropped: number): void;
  /** A call outward; the host judges it. */
  onBridgeCall(id: number, head: string, body: Body): void;
  onWakeWanted(delayMs: number): void;
  onStarted(head: string): void;
  onStartFailed(failed: AcceptedFailure): void;
  /** `error`: what `onShutdown` threw. */
  onShutDown(error: string | undefined): void;
  onRandomWanted(): void;
}

/** Tells the listener item by item what a guest posted, for as long as it `listens`: an item may end the isolate. */
export function hearPosted(
  [index, text, apart]: Posted,
  stacks: Stacks,
  listener: GuestListener,
  listens: () => boolean,
): void {
  eachPosted(index, text, apart, (type, id, head, body) => {
    if (listens()) hear(listener, stacks, type, id, head, body);
  });
}

function hear(
  listener: GuestListener,
  stacks: Stacks,
  type: number,
  id: number,
  head: string,
  body: Body,
): void {
  switch (type) {
    case FromGuest.json:
      return listener.onReply(id, JSON_REPLY_HEAD, body);
    case FromGuest.bytes:
      return listener.onReply(id, BYTES_REPLY_HEAD, body);
    case FromGuest.reply:
      return listener.onReply(id, head, body);
    case FromGuest.failure:
      return listener.onFailure(id, acceptFailure(head, stacks));
    case FromGuest.log:
      return listener.onLog(head, id);
    case FromGuest.bridgeCall:
      if (acceptBridgeCall(head, body)) listener.onBridgeCall(id >>> 0, head, body);
      return;
    case FromGuest.timer:
      return listener.onWakeWanted(acceptWakeDelay(id));
    case FromGuest.started:
      return listener.onStarted(head);
    case FromGuest.startFailed:
      return listener.onStartFailed(acceptFailure(head, stacks));
    case FromGuest.shutDown:
      return listener.onShutDown(head === '' ? undefined : stacks.mapText(head));
    case FromGuest.wantRandom:
      return listener.onRandomWanted();
    default:
      return;
  }
}

/**
 * Cuts what a guest posted into its items. Numbers that make no sense give empty texts, never those of another batch.
 */
function eachPosted(
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
