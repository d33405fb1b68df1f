/** The query's parameters by first value: `args.name`, `args.get('name')`. */
export type QueryArgs = Readonly<Record<string, string>> & {
  get(name: string, fallback?: string): string | undefined;
  getAll(name: string): string[];
};

/** `application/x-www-form-urlencoded`, as URLs have it: `+` is a space, what is no UTF-8 becomes U+FFFD. */
export function parseQuery(query: string): Record<string, string[]> {
  const all = Object.create(null) as Record<string, string[]>;
  if (query === '') return all;
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const name = decode(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? '' : decode(pair.slice(at + 1));
    (all[name] ??= []).push(value);
  }
  return all;
}

export function queryArgs(all: Record<string, string[]>): QueryArgs {
  const args = Object.create({
    get: (name: string, fallback?: string) => all[name]?.[0] ?? fallback,
    getAll: (name: string) => [...(all[name] ?? [])],
  }) as Record<string, string>;
  for (const name of Object.keys(all)) {
    Object.defineProperty(args, name, {
      value: all[name]![0],
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  // A parameter called `get` must not take the method's place.
  for (const method of ['get', 'getAll']) if (method in all) Reflect.deleteProperty(args, method);
  return args as QueryArgs;
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
      try {
        return decodeURIComponent(run);
      } catch {
        return run.replace(/%[0-7][0-9a-f]|%[89a-f][0-9a-f]/gi, (byte) =>
          byte[1]! < '8' ? String.fromCharCode(parseInt(byte.slice(1), 16)) : '\ufffd',
        );
      }
    });
  }
}
