import { randomUUID } from 'node:crypto';
import { LightSignal } from '../../protocol/caller-signal.ts';
import { failure, type Failure } from '../../protocol/outcome.ts';
import type { AckWindow, Delivered, Verdict } from './acks.ts';
import { plainHeaders } from './headers.ts';
import {
  formatTraceparent,
  type Span,
  type TraceContext,
  type Tracer,
} from '../../telemetry/trace-context.ts';
import { parseTrace } from './trace.ts';
import type { RequestHead, ServeRequest } from './types.ts';

/** A timestamp property beyond this is in milliseconds, as JavaScript clients send it; as seconds it is the year 5138. */
const MILLISECONDS_FROM = 1e11;

/**
 * When the request is worthless, in epoch milliseconds: the sooner of its own expiration and the lambda's limit.
 * `expiration` counts from `timestamp` where there is one, so that time in the broker's queue counts; as AMQP's
 * timestamps are whole seconds, the end of that second is meant. A timestamp in the future counts as now.
 */
export function deadlineOf(
  properties: { readonly expiration?: unknown; readonly timestamp?: unknown },
  receivedMs: number,
  timeoutMs: number,
): number {
  const limitMs = receivedMs + timeoutMs;
  const { expiration, timestamp } = properties;
  if (typeof expiration !== 'string' || !/^\d{1,15}$/.test(expiration)) return limitMs;
  let sentMs = receivedMs;
  if (typeof timestamp === 'number' && timestamp > 0)
    sentMs = Math.min(sentMs, timestamp >= MILLISECONDS_FROM ? timestamp : timestamp * 1_000 + 999);
  return Math.min(limitMs, sentMs + Number(expiration));
}

/** One message between its delivery and its acknowledgement. */
export class Job {
  readonly requestId = randomUUID();
  readonly receivedMs: number;
  readonly deadlineMs: number;
  readonly replyTo: string | undefined;
  readonly correlationId: string | undefined;
  kills = 0;
  suspect = false;
  running = false;
  /** It has its reply, or needs none: whatever comes of its handler now is too late. */
  answered = false;
  trace: TraceContext | undefined;
  span: Span | undefined;
  /** Undefined for a message that was taken off the queue without acknowledgement. */
  #window: AckWindow | undefined;
  #tag: number;
  #message: Delivered | undefined;
  #signal = new LightSignal();

  constructor(message: Delivered, window: AckWindow | undefined, nowMs: number, timeoutMs: number) {
    const { replyTo, correlationId } = message.properties as { replyTo?: unknown; correlationId?: unknown };
    this.#message = message;
    this.#window = window;
    this.#tag = message.fields.deliveryTag;
    this.receivedMs = nowMs;
    this.deadlineMs = deadlineOf(message.properties, nowMs, timeoutMs);
    this.replyTo = typeof replyTo === 'string' && replyTo !== '' ? replyTo : undefined;
    this.correlationId = typeof correlationId === 'string' ? correlationId : undefined;
  }

  get body(): Uint8Array {
    return this.#message?.content ?? new Uint8Array();
  }

  get encoding(): string | undefined {
    return text(this.#message?.properties.contentEncoding);
  }

  /** Tells its handler to end. */
  abort(): void {
    this.#signal.abort();
  }

  /** A retry must not find the signal of the first try ended. */
  rearm(): void {
    this.#signal = new LightSignal();
  }

  /** Tells the broker what becomes of the message, which is then let go. */
  settle(verdict: Verdict): void {
    this.#window?.settle(this.#tag, verdict);
    this.#message = undefined;
  }

  /** Takes over the delivery of `again`, if that is the same request, redelivered. */
  adopt(again: Job): boolean {
    if (this.answered || !this.#message || Buffer.compare(this.body, again.body) !== 0) return false;
    this.#window = again.#window;
    this.#tag = again.#tag;
    return true;
  }

  /** The request for the handler, with `body` in place of the encoded one. */
  request(body: Uint8Array, headerBytes: number, tracer: Tracer | undefined): ServeRequest | Failure {
    const message = this.#message;
    if (!message) return failure('internal', 'the message was let go before it ran');
    const headers = plainHeaders(message.properties.headers, headerBytes);
    if (!headers)
      return failure(
        'request_too_large',
        `the headers take more than ${headerBytes} bytes, or nest too deep`,
      );
    this.trace = parseTrace(headers);
    if (tracer) {
      this.span ??= tracer.start('process', 'consumer', this.trace);
      this.trace = this.span.context;
    }
    const head: RequestHead = {
      kind: 'rpc',
      requestId: this.requestId,
      deadlineMs: this.deadlineMs,
      traceparent: this.trace && formatTraceparent(this.trace),
      contentType: text(message.properties.contentType) ?? '',
      headers,
      // A second try may find what the first has left: the handler is told.
      redelivered: message.fields.redelivered || this.kills > 0,
    };
    return { head, body, signal: this.#signal };
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
