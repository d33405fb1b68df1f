import { randomUUID } from 'node:crypto';
import { DEFAULT_LIMITS, limitProblems, type PartialLimits } from '../config/limits.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { ServingVersion } from '../store/lambdas.ts';
import type { Account } from '../store/types.ts';
import { AccountBook, type AccountState } from './account-book.ts';
import { createBundles } from './bundles.ts';
import { createEvents } from './events.ts';
import { Lambda } from './lambda.ts';
import { matchingLambdas, pageOf } from './lists.ts';
import { ensureOperatorToken } from './operator-token.ts';
import { newToken, TokenBook } from './tokens.ts';
import type { DeployRegistry, RegistryOptions } from './types.ts';
import { createUsageMeter } from './usage-meter.ts';

const BUNDLE_CACHE_BYTES = 128 * 1024 * 1024;
const USAGE_FLUSH_MS = 2_000;

/** Loads what the store keeps, and answers from memory from then on. */
export async function createRegistry(options: RegistryOptions): Promise<DeployRegistry> {
  const { store, config, now = Date.now } = options;
  const onError = options.onError ?? ((): void => undefined);
  const book = new AccountBook(config);
  const tokens = new TokenBook(now);
  const lambdas = new Map<string, Lambda>();
  const bundles = createBundles(store.blobs, options.bundleCacheBytes ?? BUNDLE_CACHE_BYTES);
  const parts = { loadBundle: (hash: string) => bundles.load(hash) };
  const events = createEvents(onError);
  const usage = createUsageMeter({
    usage: store.usage,
    now,
    flushMs: options.usageFlushMs ?? USAGE_FLUSH_MS,
    exists: (accountId) => book.states.has(accountId),
    onError,
  });

  for (const account of await store.accounts.all()) book.add(account);
  for (const { accountId, quota } of await store.quotas.all()) stateOf(accountId).quota = quota;
  for (const token of await store.tokens.valid(now())) tokens.add(token);
  for await (const some of store.lambdas.load())
    for (const { lambda, serving } of some)
      place(new Lambda(stateOf(lambda.accountId), lambda, serving, parts));

  function place(lambda: Lambda): void {
    lambdas.set(lambda.id, lambda);
    lambda.owner.lambdas.push(lambda);
  }

  function stateOf(accountId: string): AccountState {
    const state = book.states.get(accountId);
    if (state === undefined) throw new IsolambdaError('account_not_found', `no account ${accountId}`);
    return state;
  }

  function lambdaOf(lambdaId: string): Lambda {
    const lambda = lambdas.get(lambdaId);
    if (lambda === undefined) throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
    return lambda;
  }

  // Mutations run one after the other, so that memory changes in the order in which the store did.
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work);
    last = turn;
    return turn;
  }

  const registry: DeployRegistry = {
    authenticate: (token) => tokens.find(token)?.principal,
    lambda: (id) => lambdas.get(id),
    account: (id) => book.states.get(id)?.account,
    limits: (accountId) => book.states.get(accountId)?.limits ?? book.defaults,
    usage,

    lambdas: (filter) =>
      matchingLambdas(
        filter.accountId === undefined
          ? lambdas.values()
          : (book.states.get(filter.accountId)?.lambdas ?? []),
        filter,
      ),
    allLambdas: () => lambdas.values(),
    accounts({ name, ...page }) {
      const wanted = name?.toLowerCase();
      const found: Account[] = [];
      for (const { account } of book.states.values())
        if (wanted === undefined || account.name.toLowerCase().includes(wanted)) found.push(account);
      return pageOf(found, page);
    },
    lambdaCount: (accountId) =>
      accountId === undefined ? lambdas.size : (book.states.get(accountId)?.lambdas.length ?? 0),

    createAccount: ({ name, id = randomUUID() }) =>
      inTurn(async () => {
        if (book.states.has(id)) throw new IsolambdaError('conflict', `account ${id} exists`);
        const account = { id, name, createdAt: now(), updatedAt: now() };
        await store.accounts.insert(account);
        book.add(account);
        events.emit('accountCreated', { account });
        return account;
      }),
    renameAccount: (accountId, name) =>
      inTurn(async () => {
        const state = stateOf(accountId);
        const account = { ...state.account, name, updatedAt: now() };
        await store.accounts.rename(accountId, name, account.updatedAt);
        state.account = account;
        events.emit('accountChanged', { account });
        return account;
      }),
    createToken: (given) =>
      inTurn(async () => {
        if (given.accountId !== null) stateOf(given.accountId);
        if (given.expiresAt !== undefined && given.expiresAt <= now())
          throw new IsolambdaError('bad_request', 'expires_at must lie in the future');
        const { text, record } = newToken(given, now());
        if (record.scopes.length === 0)
          throw new IsolambdaError('bad_request', 'a token needs at least one scope');
        await store.tokens.insert(record);
        tokens.add(record);
        const { hash: _, ...info } = record;
        return { token: text, info };
      }),
    tokens: async (accountId) => {
      if (accountId !== null) stateOf(accountId);
      return store.tokens.of(accountId);
    },
    revokeToken: (accountId, tokenId) =>
      inTurn(async () => {
        const known = (await store.tokens.of(accountId)).find(({ id }) => id === tokenId);
        if (known === undefined) throw new IsolambdaError('token_not_found', `no token ${tokenId}`);
        if (known.revokedAt !== null) return known;
        const revokedAt = now();
        await store.tokens.revoke(tokenId, revokedAt);
        tokens.remove(tokenId);
        events.emit('tokenRevoked', { tokenId, accountId });
        return { ...known, revokedAt };
      }),
    ensureOperatorToken: (file) => ensureOperatorToken(registry, file),

    quota: (accountId) => {
      const state = stateOf(accountId);
      return {
        defaults: DEFAULT_LIMITS,
        ceilings: book.config.limits,
        quota: state.quota.limits,
        egress: state.quota.egress,
        queues: state.quota.queues,
        effective: state.limits,
        used: { lambdas: state.lambdas.length },
      };
    },
    setQuota: (accountId, limits, allowed = {}) =>
      inTurn(async () => {
        const state = stateOf(accountId);
        const given = Object.fromEntries(
          Object.entries(limits).filter(([, value]) => value !== undefined),
        ) as PartialLimits;
        const problems = limitProblems({ ...given }, 'account');
        if (problems.length > 0) throw new IsolambdaError('bad_request', problems.join('; '), { problems });
        const { egress, queues } = { ...state.quota, ...allowed };
        const quota = { limits: given, egress, queues };
        await store.quotas.set(accountId, quota, now());
        state.quota = quota;
        state.refresh();
        events.emit('limitsChanged', { accountId, limits: state.limits });
        return registry.quota(accountId);
      }),
    reconfigure(changed) {
      book.reconfigure(changed);
      for (const [accountId, { limits }] of book.states) events.emit('limitsChanged', { accountId, limits });
    },

    insertLambda: (record, write) =>
      inTurn(async () => {
        const owner = stateOf(record.accountId);
        const limit = owner.limits.lambdas;
        if (owner.lambdas.length >= limit)
          throw new IsolambdaError(
            'quota_exceeded',
            `the account has ${owner.lambdas.length} lambdas; its limit is ${limit} (lambdas)`,
          );
        await store.transaction(async (tx) => {
          await tx.lambdas.insert(record);
          await write(tx);
        });
        const lambda = new Lambda(owner, record, undefined, parts);
        place(lambda);
        events.emit('lambdaChanged', { lambda, previous: undefined });
        return lambda;
      }),
    changeLambda: (lambdaId, change, { serve, write } = {}) =>
      inTurn(async () => {
        const lambda = lambdaOf(lambdaId);
        const stamped = { ...change, ...servingColumns(serve), updatedAt: now() };
        await store.transaction(async (tx) => {
          await tx.lambdas.update(lambdaId, stamped);
          await write?.(tx);
        });
        const previous = lambda.apply(stamped, serve);
        events.emit('lambdaChanged', { lambda, previous });
        return { lambda, previous };
      }),
    removeLambda: (lambdaId) =>
      inTurn(async () => {
        const lambda = lambdaOf(lambdaId);
        const hashes = await store.transaction(async (tx) => {
          const found = await tx.versions.hashesOf(lambdaId);
          await tx.lambdas.delete(lambdaId);
          return found;
        });
        forget(lambda);
        return hashes;
      }),
    removeAccount: (accountId) =>
      inTurn(async () => {
        const state = stateOf(accountId);
        const hashes = await store.transaction(async (tx) => {
          const found = await tx.versions.hashesOfAccount(accountId);
          await tx.accounts.delete(accountId);
          await tx.usage.deleteAccount(accountId);
          return found;
        });
        const gone = [...state.lambdas];
        for (const lambda of gone) forget(lambda);
        tokens.removeAccount(accountId);
        book.states.delete(accountId);
        events.emit('accountDeleted', { accountId });
        return { lambdas: gone, hashes };
      }),
    deploymentOf: (lambdaId, version, { deployParameters, userConfig }) =>
      lambdaOf(lambdaId).deploymentOf(version, deployParameters, userConfig),

    on: (event, listener) => events.on(event, listener),
    close: () => usage.close(),
  };

  function forget(lambda: Lambda): void {
    lambdas.delete(lambda.id);
    const { lambdas: siblings } = lambda.owner;
    siblings.splice(siblings.indexOf(lambda), 1);
    events.emit('lambdaDeleted', { lambda });
  }

  return registry;
}

const servingColumns = (serve: ServingVersion | undefined): { activeVersion?: number } =>
  serve === undefined ? {} : { activeVersion: serve.version };
