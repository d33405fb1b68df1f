import type { Page, PageRequest } from '../store/types.ts';
import type { LambdaEntry, LambdaFilter } from './types.ts';

export function pageOf<T>(items: readonly T[], { page, pageSize }: PageRequest): Page<T> {
  return { items: items.slice((page - 1) * pageSize, page * pageSize), total: items.length, page, pageSize };
}

/** Oldest first: a page stays what it was while new lambdas come. */
export function matchingLambdas(lambdas: Iterable<LambdaEntry>, filter: LambdaFilter): Page<LambdaEntry> {
  const { page, pageSize, type, state, shared } = filter;
  const name = filter.name?.toLowerCase();
  const first = (page - 1) * pageSize;
  const items: LambdaEntry[] = [];
  let total = 0;
  for (const lambda of lambdas) {
    if (type !== undefined && lambda.type !== type) continue;
    if (state !== undefined && lambda.state !== state) continue;
    if (shared !== undefined && lambda.shared !== shared) continue;
    if (name !== undefined && !lambda.name.toLowerCase().includes(name)) continue;
    if (total >= first && items.length < pageSize) items.push(lambda);
    total += 1;
  }
  return { items, total, page, pageSize };
}
