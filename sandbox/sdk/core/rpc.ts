import { bytesOf, decodeUtf8, encodeUtf8 } from './bytes.ts';
import { environment } from './environment.ts';
import { createLogger, type Logger } from './logger.ts';
import type { Platform } from './platform.ts';
import { encodeReply, type WireReply } from './reply.ts';
import { parseJson } from './request.ts';

/** The head of an AMQP message, as the host sends it. */
export interface RpcRequestHead {
  readonly requestId: string;
  readonly accountId: string;
  readonly deadlineMs: number;
  readonly traceparent?: string | undefined;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly redelivered: boolean;
}

/** The second argument of `lambda_handler(event, context)`. */
export interface RpcContext {
  readonly requestId: string;
  readonly functionName: string;
  readonly accountId: string;
  readonly lambdaId: string;
  /** Epoch milliseconds. */
  readonly deadlineMs: number;
  readonly redelivered: boolean;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly traceparent: string | undefined;
  readonly logger: Logger;
  getRemainingTimeInMillis(): number;
}

/**
 * The event of a message: `application/octet-stream` is bytes, `application/json` is JSON (broken JSON is the sender's
 * error), anything else is JSON if it parses, else bytes. Parameters of the content type are understood.
 */
export function decodeEvent(contentType: string, body: string | Uint8Array): unknown {
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase();
  const bytes = (): Uint8Array => (typeof body === 'string' ? encodeUtf8(body) : body);
  if (type === 'application/octet-stream') return bytes();
  const text = typeof body === 'string' ? body : decodeUtf8(body);
  const plain = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  if (type === 'application/json') return parseJson(plain, body);
  if (typeof body !== 'string') return body;
  try {
    return JSON.parse(plain) as unknown;
  } catch {
    return bytes();
  }
}

/** Bytes as `application/octet-stream`, every other value as JSON; what `sendResponse` and Response made, as they say. */
export function encodeResult(value: unknown, platform: Platform): WireReply | Promise<WireReply> {
  return encodeReply(bytesOf(value) ?? value, platform);
}

export function rpcContext(
  head: Pick<RpcRequestHead, 'requestId' | 'accountId' | 'deadlineMs'> & Partial<RpcRequestHead>,
  lambda: { readonly lambdaId: string; readonly functionName: string },
): RpcContext {
  let logger: Logger | undefined;
  return {
    requestId: head.requestId,
    functionName: lambda.functionName,
    accountId: head.accountId,
    lambdaId: lambda.lambdaId,
    deadlineMs: head.deadlineMs,
    redelivered: head.redelivered ?? false,
    headers: head.headers ?? {},
    traceparent: head.traceparent,
    get logger() {
      return (logger ??= createLogger(head.requestId));
    },
    getRemainingTimeInMillis: () => Math.max(0, head.deadlineMs - environment().now()),
  };
}
