/** Headers, after https://fetch.spec.whatwg.org/#headers-class. Written here: no kept package has it without Node. */
import { iteratePairs } from './pair-iterator.ts';
import { exposeInterface, requireArguments, toByteString } from './webidl.ts';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FORBIDDEN_IN_VALUE = /[\0\r\n]/;

type Entry = [name: string, value: string];
interface HeadersState {
  /** Lower-case names, in the order they came. */
  entries: Entry[];
  immutable: boolean;
  /** The sorted and combined view, until the next change. */
  sorted: Entry[] | undefined;
}

let stateOf: (headers: Headers) => HeadersState;
let isHeaders: (value: unknown) => value is Headers;

export class Headers {
  #state: HeadersState = { entries: [], immutable: false, sorted: undefined };

  constructor(init?: unknown) {
    if (init !== undefined) fillHeaders(this, init);
  }

  static {
    stateOf = (headers) => headers.#state;
    isHeaders = (value): value is Headers => typeof value === 'object' && value !== null && #state in value;
  }

  append(name: unknown, value: unknown): void {
    const state = this.#state;
    requireArguments(arguments.length, 2, 'Headers.append');
    const entry: Entry = [headerName(name, 'Headers.append'), headerValue(value, 'Headers.append')];
    change(state).push(entry);
  }

  delete(name: unknown): void {
    const state = this.#state;
    requireArguments(arguments.length, 1, 'Headers.delete');
    const key = headerName(name, 'Headers.delete');
    change(state);
    state.entries = state.entries.filter((entry) => entry[0] !== key);
  }

  get(name: unknown): string | null {
    const state = this.#state;
    requireArguments(arguments.length, 1, 'Headers.get');
    return combined(state, headerName(name, 'Headers.get'));
  }

  getSetCookie(): string[] {
    return this.#state.entries.filter((entry) => entry[0] === 'set-cookie').map((entry) => entry[1]);
  }

  has(name: unknown): boolean {
    const state = this.#state;
    requireArguments(arguments.length, 1, 'Headers.has');
    const key = headerName(name, 'Headers.has');
    return state.entries.some((entry) => entry[0] === key);
  }

  set(name: unknown, value: unknown): void {
    const state = this.#state;
    requireArguments(arguments.length, 2, 'Headers.set');
    const key = headerName(name, 'Headers.set');
    const text = headerValue(value, 'Headers.set');
    const entries = change(state);
    const first = entries.findIndex((entry) => entry[0] === key);
    if (first < 0) entries.push([key, text]);
    else
      state.entries = entries.filter((entry, i) => i <= first || entry[0] !== key).with(first, [key, text]);
  }
}
exposeInterface(Headers, 'Headers');
iteratePairs(Headers.prototype, 'Headers', (headers) => sortedEntries(stateOf(headers)));

export { isHeaders };

/** The headers in sending order, with lower-case names; copies. */
export function headerEntries(headers: Headers): Entry[] {
  return stateOf(headers).entries.map(([name, value]): Entry => [name, value]);
}

export function headerOf(headers: Headers, lowerName: string): string | null {
  return combined(stateOf(headers), lowerName);
}

/** Adds the header unless there is one of its name; for the content type that a body brings along. */
export function defaultHeader(headers: Headers, lowerName: string, value: string): void {
  const state = stateOf(headers);
  if (state.entries.some((entry) => entry[0] === lowerName)) return;
  state.entries.push([lowerName, value]);
  state.sorted = undefined;
}

/** Mutable headers with the same content. */
export function copyHeaders(headers: Headers): Headers {
  const copy = new Headers();
  stateOf(copy).entries = headerEntries(headers);
  return copy;
}

export function makeImmutable(headers: Headers): Headers {
  stateOf(headers).immutable = true;
  return headers;
}

/** Headers from what the network gave: what is no valid header is left out rather than an error. */
export function headersFromHost(pairs: readonly (readonly [string, string])[]): Headers {
  const headers = new Headers();
  const { entries } = stateOf(headers);
  for (const [name, value] of pairs) {
    const text = trim(String(value));
    if (NAME.test(name) && !FORBIDDEN_IN_VALUE.test(text)) entries.push([String(name).toLowerCase(), text]);
  }
  return makeImmutable(headers);
}

/** https://fetch.spec.whatwg.org/#concept-headers-fill */
export function fillHeaders(headers: Headers, init: unknown): void {
  const state = stateOf(headers);
  const add = (name: unknown, value: unknown): void => {
    const entry: Entry = [headerName(name, 'Headers'), headerValue(value, 'Headers')];
    change(state).push(entry);
  };
  if ((typeof init !== 'object' && typeof init !== 'function') || init === null) {
    throw new TypeError('Headers: the init must be a sequence of pairs or an object.');
  }
  if (isHeaders(init)) {
    for (const [name, value] of stateOf(init).entries) add(name, value);
    return;
  }
  const iterate: unknown = (init as { [Symbol.iterator]?: unknown })[Symbol.iterator];
  if (iterate !== undefined && iterate !== null) {
    const pairs: [unknown, unknown][] = [];
    for (const pair of init as Iterable<unknown>) {
      if (typeof pair !== 'object' || pair === null)
        throw new TypeError('Headers: each element must be a pair.');
      const items = [...(pair as Iterable<unknown>)];
      if (items.length !== 2) throw new TypeError('Headers: each element must have exactly two items.');
      pairs.push([items[0], items[1]]);
    }
    for (const [name, value] of pairs) add(name, value);
    return;
  }
  for (const key of Reflect.ownKeys(init)) {
    if (Reflect.getOwnPropertyDescriptor(init, key)?.enumerable !== true) continue;
    add(key, (init as Record<PropertyKey, unknown>)[key]);
  }
}

function change(state: HeadersState): Entry[] {
  if (state.immutable)
    throw new TypeError('These headers are immutable: copy them with new Headers(headers).');
  state.sorted = undefined;
  return state.entries;
}

function headerName(value: unknown, what: string): string {
  const name = toByteString(value, what);
  if (!NAME.test(name)) throw new TypeError(`${what}: ${JSON.stringify(name)} is an invalid header name.`);
  return name.toLowerCase();
}

function headerValue(value: unknown, what: string): string {
  const text = trim(toByteString(value, what));
  if (FORBIDDEN_IN_VALUE.test(text))
    throw new TypeError(`${what}: ${JSON.stringify(text)} is an invalid header value.`);
  return text;
}

/** HTTP white space off both ends; by index, because a regular expression for the end would be quadratic. */
function trim(text: string): string {
  let start = 0;
  let end = text.length;
  const white = (code: number): boolean => code === 32 || code === 9 || code === 10 || code === 13;
  while (start < end && white(text.charCodeAt(start))) start++;
  while (end > start && white(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function combined(state: HeadersState, key: string): string | null {
  let text: string | null = null;
  // Cookies are the one list that is not joined by commas: RFC 6265, section 5.4.
  const separator = key === 'cookie' ? '; ' : ', ';
  for (const [name, value] of state.entries) {
    if (name === key) text = text === null ? value : text + separator + value;
  }
  return text;
}

/** https://fetch.spec.whatwg.org/#concept-header-list-sort-and-combine */
function sortedEntries(state: HeadersState): Entry[] {
  if (state.sorted !== undefined) return state.sorted;
  const names = [...new Set(state.entries.map((entry) => entry[0]))].sort();
  const sorted: Entry[] = [];
  for (const name of names) {
    if (name === 'set-cookie') {
      for (const entry of state.entries) if (entry[0] === name) sorted.push(entry);
    } else {
      sorted.push([name, combined(state, name) ?? '']);
    }
  }
  state.sorted = sorted;
  return sorted;
}
