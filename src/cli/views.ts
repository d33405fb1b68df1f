import type { LambdaApi } from '../client/lambda-api.ts';

/** What the host's replies hold, as the client types them. */
type ReplyOf<M extends keyof LambdaApi> = LambdaApi[M] extends (
  ...args: never[]
) => Promise<{ readonly json: infer T }>
  ? T
  : never;
export type LambdaView = ReplyOf<'getLambda'>;
export type LambdaRow = ReplyOf<'getLambdas'>['items'][number];
export type AccountRow = ReplyOf<'getAccounts'>['items'][number];
export type TokenRow = ReplyOf<'getTokens'>['items'][number];
export type BuildView = ReplyOf<'getBuild'>;
export type LogRow = ReplyOf<'getLogs'>['items'][number];
export type TaskRow = ReplyOf<'getTasks'>['items'][number];
export type TaskResultView = ReplyOf<'getTaskResult'>;
export type StatusView = ReplyOf<'getStatus'>;
type Upload = Parameters<LambdaApi['createLambda']>[0];
export type LambdaParameters = NonNullable<Upload['parameters']>;
export type DeployParameters = NonNullable<Upload['deployParameters']>;
export type LambdaType = NonNullable<LambdaParameters['lambda_type']>;
export type Scope = Parameters<LambdaApi['createToken']>[1]['scopes'][number];

interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
}
const PAGE_SIZE = 500;

/** Every item of a list, page by page. */
export async function allPages<T>(
  read: (paging: { readonly page: number; readonly pageSize: number }) => Promise<{ readonly json: Page<T> }>,
): Promise<T[]> {
  const items: T[] = [];
  for (let page = 1; ; page++) {
    const { json } = await read({ page, pageSize: PAGE_SIZE });
    items.push(...json.items);
    // An empty page ends it too: the list may have shrunk while we read.
    if (json.items.length === 0 || items.length >= json.total) return items;
  }
}
