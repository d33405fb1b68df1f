import { InvalidReply, InvalidRequest, LambdaError } from './rpc-errors.ts';

/** A reply as it came. */
export interface RpcReply {
  readonly body: Buffer;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

const OCTETS = 'application/octet-stream';
const JSON_TYPE = 'application/json';

/** Bytes go as they are, and texts too where a content type says that they are not JSON; all else goes as JSON. */
export function encodePayload(
  queue: string,
  payload: unknown,
  contentType: string | undefined,
): { body: Buffer; contentType: string } {
  if (payload instanceof Uint8Array) {
    const body = Buffer.isBuffer(payload)
      ? payload
      : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    return { body, contentType: contentType ?? OCTETS };
  }
  if (typeof payload === 'string' && contentType !== undefined && mediaType(contentType) !== JSON_TYPE)
    return { body: Buffer.from(payload), contentType };
  let text: string | undefined;
  try {
    text = JSON.stringify(payload);
  } catch (error) {
    throw new InvalidRequest(queue, `the payload cannot be JSON: ${String(error)}`, error);
  }
  if (text === undefined)
    throw new InvalidRequest(
      queue,
      `the payload (${typeof payload}) is neither bytes nor anything JSON can hold`,
    );
  return { body: Buffer.from(text), contentType: contentType ?? JSON_TYPE };
}

/**
 * The value in a reply: `application/octet-stream` is bytes, `application/json` is JSON, anything else JSON where it
 * parses and bytes where not. Throws LambdaError for an error reply, InvalidReply for JSON that is none.
 */
export function decodeReply(queue: string, { body, contentType, headers }: RpcReply): unknown {
  const failed = Object.hasOwn(headers, 'x-lambda-error') ? headers['x-lambda-error'] : undefined;
  if (failed !== undefined) throw new LambdaError(queue, failed === 'Handled', errorBody(queue, body));
  const type = mediaType(contentType);
  if (type === OCTETS) return body;
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch (error) {
    if (type !== JSON_TYPE) return body;
    throw new InvalidReply(queue, `it calls itself ${contentType}, but is not JSON`, error);
  }
}

function errorBody(queue: string, body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // Said below.
  }
  throw new InvalidReply(queue, 'an error reply without errorType and errorMessage');
}

function mediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}
