import { randomUUID } from 'node:crypto';
import { DEFAULT_LIMITS, limitProblems, type PartialLimits } from '../config/limits.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { Subject } from '../store/changes.ts';
import type { ServingVersion } from '../store/lambdas.ts';
import type { Repositories } from '../store/store.ts';
import type { Account } from '../store/types.ts';
import { AccountBook, type AccountState } from './account-book.ts';
import { createBundles } from './bundles.ts';
import { createEvents } from './events.ts';
import { Lambda } from './lambda.ts';
import { matchingLambdas, pageOf } from './lists.ts';
import { ensureOperatorToken } from './operator-token.ts';
import { refresh } from './refresh.ts';
import { createReplica } from './replica.ts';
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
  const memory = {
    book,
    tokens,
    lambdas,
    events,
    parts,
    place,
    forgetLambda,
    forgetAccount,
    // What this host counted until it heard of it goes with what was there.
    accountGone: (accountId: string): void =>
      void usage
        .flush()
        .then(() => store.usage.deleteAccount(accountId))
        .catch((error: unknown) => onError(error, 'removing usage')),
  };
  const replica = createReplica({
    store,
    refresh: (tx, subjects) => refresh(memory, tx, subjects),
    everything,
    inTurn,
    onError,
  });
  /** Writes the store, then memory, where `apply` tells the listeners; before other changes of this or any host. */
  const change = <T, R>(write: (tx: Repositories) => Promise<T>, apply: (written: T) => R): Promise<R> =>
    inTurn(async () => apply(await replica.change(write)));

  await store.snapshot(async (tx) => {
    for (const account of await tx.accounts.all()) book.add(account);
    for (const { accountId, quota } of await tx.quotas.all()) stateOf(accountId).quota = quota;
    for (const token of await tx.tokens.valid(now())) tokens.add(token);
    for await (const some of tx.lambdas.load())
      for (const { lambda, serving } of some)
        place(new Lambda(stateOf(lambda.accountId), lambda, serving, parts));
    await replica.loaded(tx);
  });

  /** In memory or in the store. */
  async function everything(tx: Repositories): Promise<Subject[]> {
    const kinds = {
      account: new Set(book.states.keys()),
      token: new Set(tokens.ids()),
      lambda: new Set(lambdas.keys()),
    };
    for (const { id } of await tx.accounts.all()) kinds.account.add(id);
    for (const { id } of await tx.tokens.valid(now())) kinds.token.add(id);
    for await (const some of tx.lambdas.load()) for (const { lambda } of some) kinds.lambda.add(lambda.id);
    return (['account', 'token', 'lambda'] as const).flatMap((kind) =>
      [...kinds[kind]].map((id) => ({ kind, id })),
    );
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
      change(
        async (tx) => {
          if (book.states.has(id)) throw new IsolambdaError('conflict', `account ${id} exists`);
          const account = { id, name, createdAt: now(), updatedAt: now() };
          await tx.accounts.insert(account);
          return account;
        },
        (account) => {
          book.add(account);
          events.emit('accountCreated', { account });
          return account;
        },
      ),
    renameAccount: (accountId, name) =>
      change(
        async (tx) => {
          const account = { ...stateOf(accountId).account, name, updatedAt: now() };
          await tx.accounts.rename(accountId, name, account.updatedAt);
          return account;
        },
        (account) => {
          stateOf(accountId).account = account;
          events.emit('accountChanged', { account });
          return account;
        },
      ),
    createToken: (given) =>
      change(
        async (tx) => {
          if (given.accountId !== null) stateOf(given.accountId);
          if (given.expiresAt !== undefined && given.expiresAt <= now())
            throw new IsolambdaError('bad_request', 'expires_at must lie in the future');
          const made = newToken(given, now());
          if (made.record.scopes.length === 0)
            throw new IsolambdaError('bad_request', 'a token needs at least one scope');
          await tx.tokens.insert(made.record);
          return made;
        },
        ({ text, record }) => {
          tokens.add(record);
          const { hash: _, ...info } = record;
          return { token: text, info };
        },
      ),
    tokens: async (accountId) => {
      if (accountId !== null) stateOf(accountId);
      return store.tokens.of(accountId);
    },
    revokeToken: (accountId, tokenId) =>
      change(
        async (tx) => {
          const known = (await tx.tokens.of(accountId)).find(({ id }) => id === tokenId);
          if (known === undefined) throw new IsolambdaError('token_not_found', `no token ${tokenId}`);
          if (known.revokedAt !== null) return { info: known, isNew: false };
          const revokedAt = now();
          await tx.tokens.revoke(tokenId, revokedAt);
          return { info: { ...known, revokedAt }, isNew: true };
        },
        ({ info, isNew }) => {
          tokens.remove(tokenId);
          if (isNew) events.emit('tokenRevoked', { tokenId, accountId });
          return info;
        },
      ),
    ensureOperatorToken: (file) => ensureOperatorToken(registry, file, store.hosts?.name),

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
      change(
        async (tx) => {
          const state = stateOf(accountId);
          const given = Object.fromEntries(
            Object.entries(limits).filter(([, value]) => value !== undefined),
          ) as PartialLimits;
          const problems = limitProblems({ ...given }, 'account');
          if (problems.length > 0) throw new IsolambdaError('bad_request', problems.join('; '), { problems });
          const { egress, queues } = { ...state.quota, ...allowed };
          const quota = { limits: given, egress, queues };
          await tx.quotas.set(accountId, quota, now());
          return quota;
        },
        (quota) => {
          const state = stateOf(accountId);
          state.quota = quota;
          state.refresh();
          events.emit('limitsChanged', { accountId, limits: state.limits });
          return registry.quota(accountId);
        },
      ),
    reconfigure(changed) {
      book.reconfigure(changed);
      for (const [accountId, { limits }] of book.states) events.emit('limitsChanged', { accountId, limits });
    },

    catchUp: () => replica.catchUp(),
    insertLambda: (record, write) =>
      change(
        async (tx) => {
          const owner = stateOf(record.accountId);
          const limit = owner.limits.lambdas;
          if (owner.lambdas.length >= limit)
            throw new IsolambdaError(
              'quota_exceeded',
              `the account has ${owner.lambdas.length} lambdas; its limit is ${limit} (lambdas)`,
            );
          await tx.lambdas.insert(record);
          await write(tx);
        },
        () => {
          const lambda = new Lambda(stateOf(record.accountId), record, undefined, parts);
          place(lambda);
          events.emit('lambdaChanged', { lambda, previous: undefined, switchedOff: false });
          return lambda;
        },
      ),
    changeLambda: (lambdaId, asked, { serve, write } = {}) =>
      change(
        async (tx) => {
          const lambda = lambdaOf(lambdaId);
          const stamped = {
            ...(typeof asked === 'function' ? asked(lambda) : asked),
            ...servingColumns(serve),
            updatedAt: now(),
          };
          await tx.lambdas.update(lambdaId, stamped);
          await write?.(tx);
          return stamped;
        },
        (stamped) => {
          const lambda = lambdaOf(lambdaId);
          const changed = { lambda, ...lambda.apply(stamped, serve) };
          events.emit('lambdaChanged', changed);
          return changed;
        },
      ),
    removeLambda: (lambdaId) =>
      change(
        async (tx) => {
          lambdaOf(lambdaId);
          const found = await tx.versions.hashesOf(lambdaId);
          await tx.lambdas.delete(lambdaId);
          return found;
        },
        (hashes) => {
          forgetLambda(lambdaOf(lambdaId));
          return hashes;
        },
      ),
    removeAccount: (accountId) =>
      change(
        async (tx) => {
          stateOf(accountId);
          const found = await tx.versions.hashesOfAccount(accountId);
          await tx.accounts.delete(accountId);
          await tx.usage.deleteAccount(accountId);
          return found;
        },
        (hashes) => {
          const state = stateOf(accountId);
          const gone = [...state.lambdas];
          forgetAccount(state);
          return { lambdas: gone, hashes };
        },
      ),
    deploymentOf: (lambdaId, version, { deployParameters, userConfig }) =>
      lambdaOf(lambdaId).deploymentOf(version, deployParameters, userConfig),

    on: (event, listener) => events.on(event, listener),
    async close() {
      replica.close();
      await usage.close();
    },
  };

  function forgetAccount(state: AccountState): void {
    const accountId = state.account.id;
    for (const lambda of [...state.lambdas]) forgetLambda(lambda);
    tokens.removeAccount(accountId);
    book.states.delete(accountId);
    events.emit('accountDeleted', { accountId });
  }

  function forgetLambda(lambda: Lambda): void {
    lambdas.delete(lambda.id);
    const { lambdas: siblings } = lambda.owner;
    siblings.splice(siblings.indexOf(lambda), 1);
    if (lambda.bundleHash !== undefined) bundles.drop(lambda.bundleHash);
    events.emit('lambdaDeleted', { lambda });
  }

  return registry;
}

const servingColumns = (serve: ServingVersion | undefined): { activeVersion?: number } =>
  serve === undefined ? {} : { activeVersion: serve.version };
