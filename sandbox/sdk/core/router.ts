import type { Parameters, RoutePattern } from './routes.ts';

export interface Routed<T> {
  readonly pattern: RoutePattern;
  readonly target: T;
}

/** Finds the route of a path: static ones by one look-up, then typed ones, then regular expressions in their order. */
export class Router<T> {
  readonly #static = new Map<string, Routed<T>>();
  readonly #dynamic: Routed<T>[] = [];

  constructor(routes: readonly Routed<T>[]) {
    for (const route of routes) {
      if (route.pattern.names.length === 0) this.#static.set(trimmed(route.pattern.pattern), route);
      else this.#dynamic.push(route);
    }
    this.#dynamic.sort((a, b) =>
      a.pattern.rank < b.pattern.rank ? -1 : a.pattern.rank > b.pattern.rank ? 1 : 0,
    );
  }

  find(path: string): { readonly target: T; readonly parameters: Parameters } | undefined {
    const exact = this.#static.get(trimmed(path));
    if (exact !== undefined) return { target: exact.target, parameters: {} };
    for (const { pattern, target } of this.#dynamic) {
      const parameters = pattern.match(path);
      if (parameters !== undefined) return { target, parameters };
    }
    return undefined;
  }
}

/** Sanic's slashes are not strict: `/a/` is `/a`. */
function trimmed(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
