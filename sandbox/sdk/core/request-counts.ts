/**
 * How often each route was asked, by status. Every request passes here, so the usual one costs an increment; and since a
 * lambda may have replaced what Map or Array do, nothing that it can reach is called.
 */
export interface RouteCounts {
  readonly path: string;
  /** Of status 200. */
  ok: number;
  /** Of all others. */
  readonly others: Record<number, number>;
}

export function routeCounts(path: string): RouteCounts {
  return { path, ok: 0, others: Object.create(null) as Record<number, number> };
}

export function count(counts: RouteCounts, status: number): void {
  if (status === 200) counts.ok++;
  else counts.others[status] = (counts.others[status] ?? 0) + 1;
}

/** Path, status, number of requests. */
export type CountedRequests = readonly [string, number, number];

export function countedRequests(routes: readonly RouteCounts[]): CountedRequests[] {
  return routes.flatMap(({ path, ok, others }) => [
    ...(ok === 0 ? [] : [[path, 200, ok] as const]),
    ...Object.entries(others).map(([status, requests]) => [path, Number(status), requests] as const),
  ]);
}
