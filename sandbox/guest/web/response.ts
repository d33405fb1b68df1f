/** Response, after https://fetch.spec.whatwg.org/#response-class. */
import { bodyFrom, cloneBody, extractBody, isUnusable, mixinBody, takeBody } from './body.ts';
import type { BodySource, BodyState, Extracted } from './body.ts';
import { brands } from './brands.ts';
import { joinParts } from './bytes.ts';
import {
  copyHeaders,
  defaultHeader,
  fillHeaders,
  headerEntries,
  headerOf,
  Headers,
  headersFromHost,
  makeImmutable,
} from './headers.ts';
import type { HostFetchResponse } from './host.ts';
import type * as Url from './url.ts';
import { exposeInterface, requireArguments, toByteString, toDictionary, toUsvString } from './webidl.ts';

declare const require: (id: string) => unknown;

const NULL_BODY_STATUS = new Set([101, 103, 204, 205, 304]);
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;

interface ResponseState {
  type: 'default' | 'basic' | 'error' | 'opaqueredirect';
  url: string;
  redirected: boolean;
  status: number;
  statusText: string;
  headers: Headers;
  body: BodyState | null;
}

let stateOf: (response: Response) => ResponseState;
let isResponse: (value: unknown) => value is Response;
const made = Symbol('Response');

export class Response {
  #state: ResponseState;

  constructor(body?: unknown, init?: unknown, state?: unknown) {
    if (body === made) {
      this.#state = state as ResponseState;
      return;
    }
    const extracted = body === null || body === undefined ? null : extractBody(body);
    this.#state = initialize(extracted, init);
  }

  static {
    stateOf = (response) => response.#state;
    isResponse = (value): value is Response => typeof value === 'object' && value !== null && #state in value;
  }

  static error(): Response {
    const headers = makeImmutable(new Headers());
    return responseOf({
      type: 'error',
      url: '',
      redirected: false,
      status: 0,
      statusText: '',
      headers,
      body: null,
    });
  }

  static redirect(url: unknown, status: unknown = 302): Response {
    requireArguments(arguments.length, 1, 'Response.redirect');
    const { URL } = require('./url.ts') as typeof Url;
    const location = new URL(toUsvString(url)).href;
    const code = toUnsignedShort(status);
    if (!REDIRECT_STATUS.has(code)) throw new RangeError(`Invalid status code ${code}`);
    const headers = new Headers();
    defaultHeader(headers, 'location', location);
    const state = initialize(null, { status: 200 });
    return responseOf({ ...state, status: code, headers: makeImmutable(headers) });
  }

  static json(data: unknown, init?: unknown): Response {
    requireArguments(arguments.length, 1, 'Response.json');
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError('Response.json: the data cannot be written as JSON.');
    return responseOf(
      initialize({ body: bodyFrom(text.toWellFormed()), contentType: 'application/json' }, init),
    );
  }

  get type(): string {
    return this.#state.type;
  }
  get url(): string {
    return this.#state.url;
  }
  get redirected(): boolean {
    return this.#state.redirected;
  }
  get status(): number {
    return this.#state.status;
  }
  get ok(): boolean {
    return this.#state.status >= 200 && this.#state.status <= 299;
  }
  get statusText(): string {
    return this.#state.statusText;
  }
  get headers(): Headers {
    return this.#state.headers;
  }

  clone(): Response {
    const state = this.#state;
    if (isUnusable(state.body)) throw new TypeError('Response.clone: Body has already been consumed.');
    const headers = copyHeaders(state.headers);
    return responseOf({ ...state, headers, body: state.body === null ? null : cloneBody(state.body) });
  }
}
exposeInterface(Response, 'Response');
mixinBody(
  Response.prototype,
  (response) => stateOf(response).body,
  (response) => headerOf(stateOf(response).headers, 'content-type'),
);
brands.isResponse = (value) => isResponse(value);

/** What the dispatcher sends of a Response. */
export interface ResponseParts {
  status: number;
  headers: [name: string, value: string][];
  body: string | Uint8Array;
}

/**
 * Takes a Response apart without calling anything that a tenant could have patched; its body is used afterwards. A
 * promise only where the body is a stream; it rejects with a TypeError when the body was read already.
 */
export function responseParts(response: object): ResponseParts | Promise<ResponseParts> {
  const state = stateOf(response as Response);
  const { status } = state;
  if (state.type === 'error')
    return Promise.reject(new TypeError('Response.error() cannot be sent: it has no status.'));
  const headers = headerEntries(state.headers);
  const taken = takeBody(state.body);
  // Not `instanceof`: a tenant may have changed what that answers.
  if (typeof taken === 'object' && 'then' in taken)
    return taken.then((source) => ({ status, headers, body: flat(source) }));
  return { status, headers, body: flat(taken) };
}

function flat(source: BodySource): string | Uint8Array {
  if (typeof source === 'string') return source;
  return source.length === 1 && source[0] !== undefined ? source[0] : joinParts(source);
}

/** The reply of a `fetch`, with immutable headers. */
export function responseFromHost(reply: HostFetchResponse): Response {
  const status = Math.trunc(Number(reply.status));
  if (!(status >= 200 && status <= 599)) throw new TypeError(`fetch failed: the reply has status ${status}`);
  const statusText = String(reply.statusText ?? '');
  const source = typeof reply.body === 'string' ? reply.body.toWellFormed() : [reply.body];
  return responseOf({
    type: 'basic',
    url: String(reply.url),
    redirected: Boolean(reply.redirected),
    status,
    statusText: REASON.test(statusText) ? statusText : '',
    headers: headersFromHost(reply.headers),
    body: NULL_BODY_STATUS.has(status) ? null : bodyFrom(source),
  });
}

function responseOf(state: ResponseState): Response {
  return new Response(made, undefined, state);
}

/** https://fetch.spec.whatwg.org/#initialize-a-response */
function initialize(extracted: Extracted | null, init: unknown): ResponseState {
  const options = toDictionary(init, 'Response constructor');
  const headers = new Headers();
  const given = options['headers'];
  const status = options['status'] === undefined ? 200 : toUnsignedShort(options['status']);
  const statusText =
    options['statusText'] === undefined ? '' : toByteString(options['statusText'], 'Response constructor');
  if (status < 200 || status > 599) {
    throw new RangeError('init["status"] must be in the range of 200 to 599, inclusive.');
  }
  if (!REASON.test(statusText)) throw new TypeError('Invalid statusText');
  if (given !== undefined) fillHeaders(headers, given);
  let body: BodyState | null = null;
  if (extracted !== null) {
    if (NULL_BODY_STATUS.has(status)) {
      throw new TypeError(`Response constructor: Invalid response status code ${status}: it has no body.`);
    }
    body = extracted.body;
    if (extracted.contentType !== null) defaultHeader(headers, 'content-type', extracted.contentType);
  }
  return { type: 'default', url: '', redirected: false, status, statusText, headers, body };
}

function toUnsignedShort(value: unknown): number {
  const number = Math.trunc(Number(value));
  return Number.isFinite(number) ? ((number % 65_536) + 65_536) % 65_536 : 0;
}
