import type { Page, PageRequest } from '../registry/types.ts';
import { PAGE_SIZE } from '../schemas/index.ts';

interface PagingQuery {
  readonly page?: number | undefined;
  readonly page_size?: number | undefined;
}

export const pageRequest = ({ page = 1, page_size = PAGE_SIZE.default }: PagingQuery): PageRequest => ({
  page,
  pageSize: page_size,
});

interface PageView<T> {
  items: T[];
  total: number;
  page: number;
  page_size: number;
}

export const pageView = <T, V>(page: Page<T>, view: (item: T) => V): PageView<V> => ({
  items: page.items.map(view),
  total: page.total,
  page: page.page,
  page_size: page.pageSize,
});

/** A page of a list that is whole in memory. */
export function slicePage<T>(all: readonly T[], { page, pageSize }: PageRequest): Page<T> {
  const start = (page - 1) * pageSize;
  return { items: all.slice(start, start + pageSize), total: all.length, page, pageSize };
}
