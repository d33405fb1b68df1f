/** Headers, found whatever the case: `headers['content-type']`, `headers['Content-Type']`, `headers.get('CONTENT-TYPE')`. */
export interface RequestHeaders extends Iterable<[string, string]> {
  get(name: string): string | undefined;
  /** Every value of a header that came more than once. */
  getAll(name: string): string[];
  has(name: string): boolean;
  keys(): string[];
  entries(): [string, string][];
  readonly [name: string]: unknown;
}

class HeaderMap {
  readonly #values = new Map<string, string[]>();

  constructor(list: readonly string[]) {
    for (let i = 0; i + 1 < list.length; i += 2) {
      const name = list[i]!.toLowerCase();
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [list[i + 1]!]);
      else values.push(list[i + 1]!);
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(String(name).toLowerCase())?.join(', ');
  }

  getAll(name: string): string[] {
    return [...(this.#values.get(String(name).toLowerCase()) ?? [])];
  }

  has(name: string): boolean {
    return this.#values.has(String(name).toLowerCase());
  }

  keys(): string[] {
    return [...this.#values.keys()];
  }

  entries(): [string, string][] {
    return this.keys().map((name) => [name, this.get(name)!]);
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.entries()[Symbol.iterator]();
  }

  toJSON(): Record<string, string> {
    return Object.fromEntries(this.entries());
  }
}

const METHODS = new Set<PropertyKey>(['get', 'getAll', 'has', 'keys', 'entries', 'toJSON', 'constructor']);

/** By key as well as by method: a header called `get` is reached by `.get('get')`. */
export function requestHeaders(list: readonly string[]): RequestHeaders {
  const map = new HeaderMap(list);
  return new Proxy(map, {
    get(target, key) {
      if (typeof key === 'string' && !METHODS.has(key)) return target.get(key);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    has: (target, key) => typeof key === 'string' && (METHODS.has(key) || target.has(key)),
    ownKeys: (target) => target.keys(),
    getOwnPropertyDescriptor(target, key) {
      const value = typeof key === 'string' ? target.get(key) : undefined;
      return value === undefined
        ? undefined
        : { value, enumerable: true, configurable: true, writable: false };
    },
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
  }) as HeaderMap & RequestHeaders;
}

/** The first value of a header in a flat list, without building a map. */
export function headerIn(list: readonly string[], lowerName: string): string | undefined {
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = list[i]!;
    if (name === lowerName || (name.length === lowerName.length && name.toLowerCase() === lowerName))
      return list[i + 1]!;
  }
  return undefined;
}

/** `name=value; name=value`; the first of a name counts, quotes are taken off, and %XX is decoded where it can be. */
export function parseCookies(header: string | undefined): Record<string, string> {
  const cookies: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at < 0) continue;
    const name = pair.slice(0, at).trim();
    const value = pair
      .slice(at + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1');
    if (name === '' || name in cookies) continue;
    try {
      cookies[name] = decodeURIComponent(value);
    } catch {
      cookies[name] = value;
    }
  }
  return cookies;
}
