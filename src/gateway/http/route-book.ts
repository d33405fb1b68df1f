/** Which methods a path has: the router itself only knows whether method and path together have a handler. */
export interface RouteBook {
  add(method: string | readonly string[], pattern: string): void;
  /** Empty for a path without a route. */
  methodsOf(path: string): string[];
}

interface Pattern {
  readonly segments: readonly string[];
  readonly methods: Set<string>;
}

export function createRouteBook(): RouteBook {
  const patterns = new Map<string, Pattern>();
  return {
    add(method, url) {
      let pattern = patterns.get(url);
      if (!pattern) patterns.set(url, (pattern = { segments: url.split('/'), methods: new Set() }));
      for (const one of typeof method === 'string' ? [method] : method) pattern.methods.add(one);
    },
    methodsOf(path) {
      const segments = path.split('/');
      const methods = new Set<string>();
      for (const pattern of patterns.values())
        // A route for every path (`*`) says nothing of this one.
        if (pattern.segments.length > 1 && fits(pattern.segments, segments))
          for (const method of pattern.methods) methods.add(method);
      return [...methods].sort();
    },
  };
}

function fits(pattern: readonly string[], path: readonly string[]): boolean {
  for (const [index, part] of pattern.entries()) {
    if (part === '*') return path.length > index;
    const given = path[index];
    if (given === undefined || (part.startsWith(':') ? given === '' : part !== given)) return false;
  }
  return pattern.length === path.length;
}
