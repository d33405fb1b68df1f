/** Request, after https://fetch.spec.whatwg.org/#request-class. */
import { dependentSignal, isSignal } from './abort.ts';
import type { AbortSignal } from './abort.ts';
import { cloneBody, extractBody, isUnusable, mixinBody, streamOf } from './body.ts';
import type { BodyState, Extracted } from './body.ts';
import { copyHeaders, defaultHeader, fillHeaders, headerOf, Headers } from './headers.ts';
import { URL } from './url.ts';
import {
  exposeInterface,
  requireArguments,
  toByteString,
  toDictionary,
  toDomString,
  toUsvString,
} from './webidl.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NORMALIZED = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH']);
const FORBIDDEN = new Set(['CONNECT', 'TRACE', 'TRACK']);

/** The members that are one of a few words, with what the standard allows. */
const ENUMS = {
  referrerPolicy: [
    '',
    'no-referrer',
    'no-referrer-when-downgrade',
    'same-origin',
    'origin',
    'strict-origin',
    'origin-when-cross-origin',
    'strict-origin-when-cross-origin',
    'unsafe-url',
  ],
  mode: ['navigate', 'same-origin', 'no-cors', 'cors'],
  credentials: ['omit', 'same-origin', 'include'],
  cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'],
  redirect: ['follow', 'error', 'manual'],
  duplex: ['half'],
  priority: ['high', 'low', 'auto'],
} as const;
type EnumName = keyof typeof ENUMS;

interface RequestState {
  method: string;
  url: string;
  headers: Headers;
  body: BodyState | null;
  signal: AbortSignal;
  referrer: string;
  referrerPolicy: string;
  mode: string;
  credentials: string;
  cache: string;
  redirect: string;
  integrity: string;
  keepalive: boolean;
}

let stateOf: (request: Request) => RequestState;
let isRequest: (value: unknown) => value is Request;
const made = Symbol('Request');

export class Request {
  #state: RequestState;

  constructor(input: unknown, init?: unknown, state?: unknown) {
    requireArguments(arguments.length, 1, 'Request constructor');
    this.#state = input === made ? (state as RequestState) : initialize(input, init);
  }

  static {
    stateOf = (request) => request.#state;
    isRequest = (value): value is Request => typeof value === 'object' && value !== null && #state in value;
  }

  get method(): string {
    return this.#state.method;
  }
  get url(): string {
    return this.#state.url;
  }
  get headers(): Headers {
    return this.#state.headers;
  }
  get destination(): string {
    void this.#state;
    return '';
  }
  get referrer(): string {
    return this.#state.referrer;
  }
  get referrerPolicy(): string {
    return this.#state.referrerPolicy;
  }
  get mode(): string {
    return this.#state.mode;
  }
  get credentials(): string {
    return this.#state.credentials;
  }
  get cache(): string {
    return this.#state.cache;
  }
  get redirect(): string {
    return this.#state.redirect;
  }
  get integrity(): string {
    return this.#state.integrity;
  }
  get keepalive(): boolean {
    return this.#state.keepalive;
  }
  get isReloadNavigation(): boolean {
    void this.#state;
    return false;
  }
  get isHistoryNavigation(): boolean {
    void this.#state;
    return false;
  }
  get signal(): AbortSignal {
    return this.#state.signal;
  }
  get duplex(): string {
    void this.#state;
    return 'half';
  }

  clone(): Request {
    const state = this.#state;
    if (isUnusable(state.body)) throw new TypeError('Request.clone: Body has already been consumed.');
    const headers = copyHeaders(state.headers);
    const body = state.body === null ? null : cloneBody(state.body);
    return new Request(made, undefined, { ...state, headers, body, signal: dependentSignal([state.signal]) });
  }
}
exposeInterface(Request, 'Request');
mixinBody(
  Request.prototype,
  (request) => stateOf(request).body,
  (request) => headerOf(stateOf(request).headers, 'content-type'),
);

export function requestState(request: Request): Readonly<RequestState> {
  return stateOf(request);
}

/** https://fetch.spec.whatwg.org/#dom-request */
function initialize(input: unknown, init: unknown): RequestState {
  const options = toDictionary(init, 'Request constructor');
  const from = isRequest(input) ? stateOf(input) : undefined;
  const state: RequestState =
    from === undefined ? freshState(input) : { ...from, headers: new Headers(), body: null };
  if (options['window'] !== undefined && options['window'] !== null) {
    throw new TypeError(`'window' option must be null`);
  }
  if (options['referrer'] !== undefined) state.referrer = referrerOf(options['referrer']);
  for (const name of ['referrerPolicy', 'mode', 'credentials', 'cache', 'redirect'] as const) {
    const value = enumOf(options, name);
    if (value !== undefined) state[name] = value;
  }
  const duplex = enumOf(options, 'duplex');
  enumOf(options, 'priority');
  if (options['mode'] !== undefined && state.mode === 'navigate') {
    throw new TypeError('Request constructor: invalid request mode navigate.');
  }
  if (state.cache === 'only-if-cached' && state.mode !== 'same-origin') {
    throw new TypeError("'only-if-cached' can be set only with 'same-origin' mode");
  }
  if (options['integrity'] !== undefined) state.integrity = toDomString(options['integrity']);
  if (options['keepalive'] !== undefined) state.keepalive = Boolean(options['keepalive']);
  if (options['method'] !== undefined) state.method = methodOf(options['method']);
  const given = options['signal'];
  if (given !== undefined && given !== null && !isSignal(given)) {
    throw new TypeError("Failed to construct 'Request': member signal is not of type AbortSignal.");
  }
  const parent = given === undefined ? from?.signal : given;
  state.signal = dependentSignal(parent === undefined || parent === null ? [] : [parent]);
  if (options['headers'] !== undefined) fillHeaders(state.headers, options['headers']);
  else if (from !== undefined) state.headers = copyHeaders(from.headers);
  state.body = chooseBody(state, options['body'], from, duplex);
  return state;
}

function chooseBody(
  state: RequestState,
  given: unknown,
  from: RequestState | undefined,
  duplex: string | undefined,
): BodyState | null {
  const inherited = from?.body ?? null;
  const hasOwn = given !== undefined && given !== null;
  if ((hasOwn || inherited !== null) && (state.method === 'GET' || state.method === 'HEAD')) {
    throw new TypeError('Request with GET/HEAD method cannot have body.');
  }
  if (hasOwn) {
    const extracted: Extracted = extractBody(given);
    if (extracted.body.source === undefined && duplex === undefined) {
      throw new TypeError('RequestInit: duplex option is required when sending a body.');
    }
    if (extracted.contentType !== null) defaultHeader(state.headers, 'content-type', extracted.contentType);
    return extracted.body;
  }
  if (inherited === null) return null;
  if (isUnusable(inherited)) {
    throw new TypeError('Cannot construct a Request with a Request object that has already been used.');
  }
  // The body moves: the old request is used from now on.
  const taken: BodyState = { ...inherited };
  if (inherited.source !== undefined && inherited.stream === undefined) {
    inherited.used = true;
    return taken;
  }
  const moved = cloneBody(inherited);
  void streamOf(inherited).getReader();
  inherited.used = true;
  return moved;
}

function freshState(input: unknown): RequestState {
  const text = toUsvString(input);
  let url: InstanceType<typeof URL>;
  try {
    url = new URL(text);
  } catch (error) {
    throw new TypeError(`Failed to parse URL from ${text}`, { cause: error });
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(`Request cannot be constructed from a URL that includes credentials: ${text}`);
  }
  return {
    method: 'GET',
    url: url.href,
    headers: new Headers(),
    body: null,
    signal: dependentSignal([]),
    referrer: 'about:client',
    referrerPolicy: '',
    mode: 'cors',
    credentials: 'same-origin',
    cache: 'default',
    redirect: 'follow',
    integrity: '',
    keepalive: false,
  };
}

/** There is no document whose origin a referrer must have, so, as in Node, any URL is kept. */
function referrerOf(value: unknown): string {
  const text = toUsvString(value);
  if (text === '') return '';
  try {
    return new URL(text).href;
  } catch (error) {
    throw new TypeError(`Referrer "${text}" is not a valid URL.`, { cause: error });
  }
}

function enumOf(options: Record<string, unknown>, name: EnumName): string | undefined {
  if (options[name] === undefined) return undefined;
  const value = toDomString(options[name]);
  const allowed: readonly string[] = ENUMS[name];
  if (!allowed.includes(value)) {
    throw new TypeError(
      `Request constructor: ${value} is not an accepted value for ${name}: use one of ${allowed.join(', ')}.`,
    );
  }
  return value;
}

function methodOf(value: unknown): string {
  const method = toByteString(value, 'Request constructor');
  const upper = method.toUpperCase();
  if (!TOKEN.test(method)) throw new TypeError(`'${method}' is not a valid HTTP method.`);
  if (FORBIDDEN.has(upper)) throw new TypeError(`'${method}' HTTP method is unsupported.`);
  return NORMALIZED.has(upper) ? upper : method;
}
