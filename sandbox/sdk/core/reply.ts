import { bytesOf } from './bytes.ts';
import { ReplyRefused } from './exceptions.ts';
import type { Platform } from './platform.ts';
import { LambdaResponse, type HeadersGiven } from './response.ts';
import { unserialisablePart } from './serialisable.ts';

/** A reply as it leaves the isolate. */
export interface WireReply {
  readonly status: number;
  /** Name, value, name, value; names in lower case. */
  readonly headers: readonly string[];
  readonly body: string | Uint8Array;
}

/** Shared by all plain replies, so that their text is made once. */
export const JSON_HEADERS: readonly string[] = ['content-type', 'application/json'];
const BYTES_HEADERS: readonly string[] = ['content-type', 'application/octet-stream'];
const NO_HEADERS: readonly string[] = [];

/** Plain replies share one list of headers: the sandbox makes its text once. */
export const isPlainJson = (reply: WireReply): boolean =>
  reply.status === 200 && reply.headers === JSON_HEADERS;
export const isPlainBytes = (reply: WireReply): boolean =>
  reply.status === 200 && reply.headers === BYTES_HEADERS;

/** What a handler returned, as a reply. Throws ReplyRefused for what can't be one. */
export function encodeReply(value: unknown, platform: Platform): WireReply | Promise<WireReply> {
  if (typeof value === 'object' && value !== null) {
    if (value instanceof LambdaResponse) return encodeResponse(value);
    const bytes = bytesOf(value);
    if (bytes !== undefined) return { status: 200, headers: BYTES_HEADERS, body: bytes };
    if (platform.isResponse(value)) return readResponse(value, platform);
  }
  return { status: 200, headers: JSON_HEADERS, body: encodeJson(value) };
}

/** A value as JSON text; `undefined` is null. Throws ReplyRefused that says which part JSON can't hold. */
export function encodeJson(value: unknown): string {
  if (value === undefined) return 'null';
  let text: string | undefined;
  let cause = '';
  try {
    text = JSON.stringify(value);
  } catch (error) {
    cause = error instanceof Error ? error.message : String(error);
  }
  if (text !== undefined) return text;
  throw new ReplyRefused(
    'reply_not_serializable',
    unserialisablePart(value) ?? `the reply can't be JSON: ${cause}`,
  );
}

function encodeResponse(response: LambdaResponse): WireReply {
  const { statusCode: status } = response;
  checkStatus(status);
  const headers = flattenHeaders(response.headers);
  if (status === 204 || status === 304) return { status, headers, body: '' };
  if (response.isJson) return withType(status, headers, 'application/json', encodeJson(response.json));
  const { body } = response;
  if (body === undefined || body === null) return { status, headers, body: '' };
  if (typeof body === 'string') return withType(status, headers, 'text/plain; charset=utf-8', body);
  const bytes = bytesOf(body);
  if (bytes === undefined) {
    throw new ReplyRefused(
      'reply_invalid',
      "sendResponse: 'body' must be text or bytes; give other values as 'json'",
    );
  }
  return withType(status, headers, 'application/octet-stream', bytes);
}

function withType(
  status: number,
  given: readonly string[],
  type: string,
  body: string | Uint8Array,
): WireReply {
  for (let i = 0; i < given.length; i += 2)
    if (given[i] === 'content-type') return { status, headers: given, body };
  if (given.length === 0 && type === 'application/json') return { status, headers: JSON_HEADERS, body };
  return { status, headers: ['content-type', type, ...given], body };
}

async function readResponse(value: object, platform: Platform): Promise<WireReply> {
  const { status, headers, body } = await platform.readResponse(value);
  checkStatus(status);
  const flat = headers.length === 0 ? NO_HEADERS : flattenHeaders(headers);
  return { status, headers: flat, body: status === 204 || status === 304 ? '' : body };
}

function checkStatus(status: unknown): void {
  if (!Number.isInteger(status) || Number(status) < 200 || Number(status) > 599) {
    throw new ReplyRefused(
      'reply_invalid',
      `a status is a whole number from 200 to 599; this is ${String(status)}`,
    );
  }
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// The controls but the tab, which field values may hold (RFC 9110, section 5.5).
const FORBIDDEN = new RegExp(String.raw`[\0-\x08\x0a-\x1f\x7f]`);

function flattenHeaders(given: HeadersGiven | undefined): readonly string[] {
  if (given === undefined || given === null) return NO_HEADERS;
  const flat: string[] = [];
  const add = (name: unknown, value: unknown): void => {
    const text = String(value);
    if (typeof name !== 'string' || !TOKEN.test(name)) {
      throw new ReplyRefused('reply_invalid', `"${String(name).slice(0, 80)}" is no header name`);
    }
    if (FORBIDDEN.test(text)) {
      throw new ReplyRefused(
        'reply_invalid',
        `header "${name}": its value holds a line break or another control character`,
      );
    }
    flat.push(name.toLowerCase(), text);
  };
  if (typeof (given as Partial<Iterable<unknown>>)[Symbol.iterator] === 'function') {
    for (const pair of given as Iterable<readonly [string, string]>) add(pair[0], pair[1]);
  } else {
    for (const [name, value] of Object.entries(given)) {
      if (Array.isArray(value)) for (const item of value as unknown[]) add(name, item);
      else add(name, value);
    }
  }
  return flat;
}
