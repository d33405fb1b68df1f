import { FromGuest } from '../bridge/wire.ts';
import { utf8Length } from '../sdk/core/bytes.ts';
import type { Lambda, RequestHead } from '../sdk/core/lambda.ts';
import type { LambdaFailure, LambdaResult } from '../sdk/core/outcome.ts';
import type { LambdaAbortController, Platform } from '../sdk/core/platform.ts';
import { isPlainBytes, isPlainJson, type WireReply } from '../sdk/core/reply.ts';
import { requestHead } from './head.ts';
import type { Outbox } from './outbox.ts';
import { ownBody } from './own-body.ts';
import { arrayLength, createTable, JsonStringify, ObjectHasOwn } from './primordials.ts';

export interface Invocations {
  begin(lambda: Lambda, id: number, head: string, body: string | Uint8Array): void;
  /** Aborts the request's signal. */
  cancel(id: number, why: 'timeout' | 'canceled'): void;
  /** The request id of an invocation in flight. */
  requestId(id: number): string | undefined;
}

interface InFlight {
  readonly head: RequestHead;
  abort: LambdaAbortController | undefined;
  aborted: 'timeout' | 'canceled' | undefined;
}

/** The invocations in flight, from the runner's message to the reply's. */
export function createInvocations(
  outbox: Outbox,
  platform: Platform,
  limits: { readonly reply_bytes: number; readonly header_bytes: number },
  ended: (id: number) => void,
): Invocations {
  const inFlight = createTable<number, InFlight>();

  const signalOf = (invocation: InFlight) => {
    if (invocation.abort === undefined) {
      invocation.abort = platform.newAbortController();
      if (invocation.aborted !== undefined) invocation.abort.abort(platform.abortReason(invocation.aborted));
    }
    return invocation.abort.signal;
  };

  const serve = async (
    lambda: Lambda,
    id: number,
    head: RequestHead,
    body: string | Uint8Array,
  ): Promise<void> => {
    const invocation: InFlight = {
      head,
      abort: undefined,
      aborted: undefined,
    };
    inFlight.set(id, invocation);
    const result = await lambda.run(head, body, { id, signal: () => signalOf(invocation) });
    inFlight.delete(id);
    ended(id);
    tell(id, result, head);
  };

  const tell = (id: number, result: LambdaResult, head: RequestHead): void => {
    if (isFailed(result)) {
      outbox.add(FromGuest.failure, id, failureText(result.failure, head.requestId));
      return;
    }
    const { reply } = result;
    const refused = tooLarge(reply, limits);
    if (refused !== undefined) {
      const failure = { kind: 'reply_too_large', detail: refused } as const;
      outbox.add(FromGuest.failure, id, failureText(failure, head.requestId));
      return;
    }
    const body = ownBody(reply.body);
    if (isPlainJson(reply)) outbox.add(FromGuest.json, id, '', body);
    else if (isPlainBytes(reply)) outbox.add(FromGuest.bytes, id, '', body);
    else outbox.add(FromGuest.reply, id, replyHead(reply), body);
  };

  return {
    begin(lambda, id, head, body) {
      void serve(lambda, id, requestHead(head), body);
    },
    cancel(id, why) {
      const invocation = inFlight.get(id);
      if (invocation === undefined) return;
      invocation.aborted = why;
      invocation.abort?.abort(platform.abortReason(why));
    },
    requestId: (id) => inFlight.get(id)?.head.requestId,
  };
}

/** By its own property: a tenant may have given Object.prototype one of that name. */
const isFailed = (result: LambdaResult): result is { readonly failure: LambdaFailure } =>
  ObjectHasOwn(result, 'failure');

function replyHead(reply: WireReply): string {
  let headers = '';
  for (const text of reply.headers) headers += `${headers === '' ? '' : ','}${JsonStringify(`${text}`)}`;
  return `{"kind":"reply","status":${reply.status},"headers":[${headers}]}`;
}

/** Measured before anything is copied out of the isolate. A text is at most three bytes a character. */
function tooLarge(
  reply: WireReply,
  limits: { readonly reply_bytes: number; readonly header_bytes: number },
): string | undefined {
  const { body } = reply;
  const most = typeof body === 'string' ? body.length * 3 : arrayLength(body);
  if (most > limits.reply_bytes) {
    const exact =
      typeof body !== 'string' ? most : body.length > limits.reply_bytes ? body.length : utf8Length(body);
    if (exact > limits.reply_bytes)
      return `the reply has ${exact} bytes or more; reply_bytes is ${limits.reply_bytes}`;
  }
  let headerBytes = 0;
  for (const text of reply.headers) headerBytes += text.length + 2;
  if (headerBytes > limits.header_bytes) {
    return `the reply's headers have ${headerBytes} bytes; header_bytes is ${limits.header_bytes}`;
  }
  return undefined;
}

/** Each part is made sure to be what the runner expects: the values come from what a tenant threw. */
export function failureText(failure: LambdaFailure, requestId?: string): string {
  const { kind, detail, status, type, stack, allow } = failure;
  const text = (key: string, value: unknown): string =>
    typeof value === 'string' ? `,"${key}":${JsonStringify(value)}` : '';
  return (
    `{"kind":"${kind}","detail":${JsonStringify(`${detail}`)}` +
    (typeof status === 'number' ? `,"status":${JsonStringify(status)}` : '') +
    text('type', type) +
    text('stack', stack) +
    text('allow', allow) +
    text('requestId', requestId) +
    '}'
  );
}
