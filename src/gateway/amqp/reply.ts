import type { HeaderList, Outcome, Failure } from '../../protocol/outcome.ts';
import { failure } from '../../protocol/outcome.ts';

/** What goes back to the caller. */
export interface ReplyMessage {
  readonly body: Buffer;
  readonly contentType: string;
  /** `x-lambda-error`; undefined for a good reply. */
  readonly error: 'Handled' | 'Unhandled' | undefined;
}

/** The body of an error reply. */
export interface LambdaErrorBody {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly requestId: string;
  readonly stackTrace?: readonly string[] | undefined;
}

const OCTETS = 'application/octet-stream';
/** A property of a message is a short string: 255 bytes at most. */
const MAX_PROPERTY_BYTES = 255;

/** Renders an outcome as an AMQP reply: bodies pass unread, failures become JSON. */
export function renderReply(outcome: Outcome, requestId: string, maxBytes: number): ReplyMessage {
  if (outcome.kind !== 'reply') return renderFailure(outcome, requestId);
  const { body } = outcome;
  if (body.byteLength > maxBytes)
    return renderFailure(
      failure('reply_too_large', `the reply has ${body.byteLength} bytes; ${maxBytes} are allowed`),
      requestId,
    );
  return { body: asBuffer(body), contentType: contentTypeOf(outcome.headers), error: undefined };
}

/** The two fields that the first AMQP runtime had, properly serialised, and the request's id. */
export function renderFailure(failed: Failure, requestId: string): ReplyMessage {
  const body: LambdaErrorBody = {
    errorType: failed.type ?? failed.kind,
    errorMessage: failed.detail,
    requestId,
    // Present only where the lambda asks for it.
    ...(failed.stack === undefined ? {} : { stackTrace: failed.stack.split('\n') }),
  };
  return {
    body: Buffer.from(JSON.stringify(body)),
    contentType: 'application/json',
    error: failed.kind === 'user_exception' ? 'Handled' : 'Unhandled',
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function contentTypeOf(headers: HeaderList): string {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i];
    const value = headers[i + 1];
    if (name !== 'content-type' || value === undefined) continue;
    return Buffer.byteLength(value) <= MAX_PROPERTY_BYTES ? value : OCTETS;
  }
  return OCTETS;
}
