import { isDeepStrictEqual } from 'node:util';
import type { Subject } from '../store/changes.ts';
import { chunks } from '../store/database.ts';
import type { LoadedLambda } from '../store/lambdas.ts';
import type { Quota } from '../store/quotas.ts';
import type { Repositories } from '../store/store.ts';
import type { TokenRecord } from '../store/tokens.ts';
import type { Account } from '../store/types.ts';
import { AccountState, type AccountBook } from './account-book.ts';
import type { Events } from './events.ts';
import { Lambda, type DeploymentParts } from './lambda.ts';
import type { TokenBook } from './tokens.ts';

export interface Memory {
  readonly book: AccountBook;
  readonly tokens: TokenBook;
  readonly lambdas: Map<string, Lambda>;
  readonly events: Events;
  readonly parts: DeploymentParts;
  place(lambda: Lambda): void;
  forgetLambda(lambda: Lambda): void;
  forgetAccount(state: AccountState): void;
  /** The account was deleted by another host. */
  accountGone(accountId: string): void;
}

const idsOf = (subjects: readonly Subject[], kind: Subject['kind']): string[] =>
  subjects.filter((subject) => subject.kind === kind).map(({ id }) => id);

/** Reads what other hosts changed, and brings memory in step; listeners hear of it as of changes made here. */
export async function refresh(memory: Memory, tx: Repositories, subjects: readonly Subject[]): Promise<void> {
  // Accounts first: lambdas belong to them.
  for (const ids of chunks(idsOf(subjects, 'account'))) {
    const accounts = new Map((await tx.accounts.get(ids)).map((account) => [account.id, account]));
    const quotas = new Map((await tx.quotas.of(ids)).map(({ accountId, quota }) => [accountId, quota]));
    for (const id of ids) account(memory, id, accounts.get(id), quotas.get(id));
  }
  for (const ids of chunks(idsOf(subjects, 'token'))) {
    const found = new Map((await tx.tokens.get(ids)).map((token) => [token.id, token]));
    for (const id of ids) token(memory, id, found.get(id));
  }
  for (const ids of chunks(idsOf(subjects, 'lambda'))) {
    const found = new Map((await tx.lambdas.get(ids)).map((loaded) => [loaded.lambda.id, loaded]));
    for (const id of ids) lambda(memory, id, found.get(id));
  }
}

function account(
  memory: Memory,
  id: string,
  row: Account | undefined,
  quota: Quota = AccountState.NO_QUOTA,
): void {
  const { book, events } = memory;
  const known = book.states.get(id);
  if (row === undefined) {
    if (known === undefined) return;
    memory.forgetAccount(known);
    memory.accountGone(id);
    return;
  }
  const state = known ?? book.add(row);
  if (known === undefined) events.emit('accountCreated', { account: row });
  else if (!isDeepStrictEqual(known.account, row)) {
    known.account = row;
    events.emit('accountChanged', { account: row });
  }
  if (isDeepStrictEqual(state.quota, quota)) return;
  state.quota = quota;
  state.refresh();
  events.emit('limitsChanged', { accountId: id, limits: state.limits });
}

function token({ tokens, events }: Memory, id: string, row: TokenRecord | undefined): void {
  if (row !== undefined && row.revokedAt === null) return tokens.add(row);
  if (tokens.remove(id) && row !== undefined)
    events.emit('tokenRevoked', { tokenId: id, accountId: row.accountId });
}

function lambda(memory: Memory, id: string, row: LoadedLambda | undefined): void {
  const known = memory.lambdas.get(id);
  if (row === undefined) {
    if (known !== undefined) memory.forgetLambda(known);
    return;
  }
  if (known !== undefined) {
    memory.events.emit('lambdaChanged', { lambda: known, ...known.replace(row) });
    return;
  }
  const owner = memory.book.states.get(row.lambda.accountId);
  // Its account was deleted at the same time: the next changes say so of the lambda too.
  if (owner === undefined) return;
  const made = new Lambda(owner, row.lambda, row.serving, memory.parts);
  memory.place(made);
  memory.events.emit('lambdaChanged', { lambda: made, previous: undefined, switchedOff: false });
}
