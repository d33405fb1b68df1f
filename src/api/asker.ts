/** Who asks, for whom, and whether they may. What is another account's does not exist: 404, with the body of a true 404. */
import type { FastifyRequest } from 'fastify';
import { IsolambdaError } from '../errors/error.ts';
import type { Account, LambdaEntry, Principal, Registry } from '../registry/types.ts';
import { scopeCovers, type Scope } from '../schemas/scopes.ts';

/** What a route asks of its caller: a scope, one of several, the operator, or nothing. */
export type Access = Scope | readonly Scope[] | 'operator' | 'public';

/** Throws `unauthorized` or `forbidden` where the principal may not use such a route. */
export function checkAccess(principal: Principal | null, access: Access): void {
  if (access === 'public') return;
  if (!principal) throw nobody();
  if (principal.operator) return;
  if (access === 'operator') throw new IsolambdaError('forbidden', 'only the operator may do this');
  const enough: readonly Scope[] = typeof access === 'string' ? [access] : access;
  if (!enough.some((scope) => scopeCovers(principal.scopes, scope)))
    throw new IsolambdaError(
      'forbidden',
      `the token lacks the scope ${enough.map((scope) => `"${scope}"`).join(' or ')}`,
    );
}

const nobody = (): IsolambdaError =>
  new IsolambdaError('unauthorized', 'no valid token came with the request');

export function principalOf({ principal }: FastifyRequest): Principal {
  if (!principal) throw nobody();
  return principal;
}

/**
 * The account in whose name the request acts: an account's own, or the one that the operator names by the header
 * `Luna-Account-Id` or the query's `account_id`; undefined where the operator names none.
 */
export function actingAccount(request: FastifyRequest): string | undefined {
  const principal = principalOf(request);
  const named = namedAccount(request);
  if (principal.operator) return named;
  if (named !== undefined && named !== principal.accountId)
    throw new IsolambdaError('forbidden', 'the token belongs to another account');
  return principal.accountId ?? undefined;
}

function namedAccount({ headers, query }: FastifyRequest): string | undefined {
  const byHeader = headers['luna-account-id'];
  const byQuery = (query as { account_id?: unknown }).account_id;
  if (typeof byHeader === 'string' && typeof byQuery === 'string' && !sameId(byHeader, byQuery))
    throw new IsolambdaError('bad_request', 'Luna-Account-Id and account_id name different accounts');
  const named = byHeader ?? byQuery;
  return typeof named === 'string' ? named.toLowerCase() : undefined;
}

const sameId = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/** As `actingAccount`, where one is needed and must exist. */
export function requireAccount(request: FastifyRequest, registry: Registry): string {
  const accountId = actingAccount(request);
  if (accountId === undefined)
    throw new IsolambdaError(
      'bad_request',
      'for which account? The operator names one by the header Luna-Account-Id or the query parameter account_id',
    );
  if (!registry.account(accountId)) throw noAccount(accountId);
  return accountId;
}

/** The lambda of the path, where the asker manages it. */
export function ownLambda(request: FastifyRequest, registry: Registry): LambdaEntry {
  const { lambda_id: lambdaId } = request.params as { lambda_id: string };
  const accountId = actingAccount(request);
  const lambda = registry.lambda(lambdaId.toLowerCase());
  if (!lambda || (accountId !== undefined && lambda.accountId !== accountId))
    throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
  return lambda;
}

/** The account of the path, where the asker is it, or the operator. */
export function ownAccount(request: FastifyRequest, registry: Registry): Account {
  const { account_id: accountId } = request.params as { account_id: string };
  const principal = principalOf(request);
  const account = registry.account(accountId.toLowerCase());
  if (!account || (!principal.operator && account.id !== principal.accountId)) throw noAccount(accountId);
  return account;
}

const noAccount = (accountId: string): IsolambdaError =>
  new IsolambdaError('account_not_found', `no account ${accountId}`);
