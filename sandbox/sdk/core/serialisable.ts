const MAX_NODES = 100_000;

/** Says which part of a value JSON can't hold: `the reply at "a.b[2]" is a BigInt`; undefined where none is found. */
export function unserialisablePart(value: unknown): string | undefined {
  let nodes = 0;
  const above: unknown[] = [];
  const walk = (item: unknown, path: string): string | undefined => {
    const at = path === '' ? 'the reply' : `the reply at "${path}"`;
    if (typeof item === 'bigint') return `${at} is a BigInt: JSON has none; make it a text or a number`;
    if (path === '' && typeof item === 'function') return `${at} is a function: JSON can't hold one`;
    if (path === '' && typeof item === 'symbol') return `${at} is a symbol: JSON can't hold one`;
    if (typeof item !== 'object' || item === null) return undefined;
    if (above.includes(item)) return `${at} is a cycle: it refers to an object that holds it`;
    if (++nodes > MAX_NODES) return undefined;
    const { toJSON } = item as { toJSON?: unknown };
    if (typeof toJSON === 'function') {
      try {
        const replaced: unknown = Reflect.apply(toJSON, item, ['']);
        return replaced === item ? undefined : walk(replaced, path);
      } catch (error) {
        return `${at} has a toJSON that throws: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    above.push(item);
    for (const key of Object.keys(item)) {
      const below = Array.isArray(item) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
      let child: unknown;
      try {
        child = (item as Record<string, unknown>)[key];
      } catch (error) {
        return `the reply at "${below}" has a getter that throws: ${error instanceof Error ? error.message : String(error)}`;
      }
      const found = walk(child, below);
      if (found !== undefined) return found;
    }
    above.pop();
    return undefined;
  };
  try {
    return walk(value, '');
  } catch {
    return undefined; // a proxy's trap threw, or it is too deep to walk
  }
}
