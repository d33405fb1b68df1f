import type { Config } from '../config/config.ts';
import type { Deployment } from '../config/deployment.ts';
import type { Limits, PartialLimits } from '../config/limits.ts';
import type { LambdaType } from '../protocol/messages.ts';
import type { Outcome } from '../protocol/outcome.ts';
import type { LambdaChange, LambdaRecord, ServingVersion } from '../store/lambdas.ts';
import type { Repositories, Store } from '../store/store.ts';
import type {
  Account,
  AmqpParameters,
  DeployParameters,
  LambdaState,
  Page,
  PageRequest,
  RoutesAuth,
  Scope,
  TokenInfo,
  UsageQuery,
  UsageReport,
} from '../store/types.ts';

export { LAMBDA_STATES, SCOPES } from '../store/types.ts';
export type {
  Account,
  AmqpParameters,
  BuildInfo,
  DeployParameters,
  LambdaParameters,
  LambdaState,
  Page,
  PageRequest,
  RoutesAuth,
  Scope,
  TokenInfo,
  UsagePoint,
  UsageQuery,
  UsageReport,
  UsageStep,
  UsageTotals,
  VersionInfo,
  VersionState,
} from '../store/types.ts';

/** Who asks. */
export interface Principal {
  /** Null for the operator. */
  readonly accountId: string | null;
  readonly operator: boolean;
  readonly scopes: ReadonlySet<Scope>;
}

/** A lambda as the request path sees it. Its fields change in place: read them when you need them, don't keep copies. */
export interface LambdaEntry {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly description: string;
  readonly type: LambdaType;
  /** The export that an `rpc` lambda asked for; null for the default. */
  readonly handler: string | null;
  readonly shared: boolean;
  readonly routesAuth: RoutesAuth;
  readonly amqp: AmqpParameters | null;
  /** Queues that the operator allowed its account beside those with the account's prefix. */
  readonly allowedQueues: readonly string[];
  /** False once it was switched off. */
  readonly alive: boolean;
  readonly state: LambdaState;
  /** Why it failed, or what it waits for; empty when all is well. */
  readonly stateDetail: string;
  /** The version that serves; before the first has started, the latest. */
  readonly version: number;
  /** The highest version number given out. */
  readonly latestVersion: number;
  readonly userConfig: unknown;
  readonly deployParameters: DeployParameters;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** `QUEUE_NAME` of the version that serves. */
  readonly queueName: string | undefined;
  /** Present as soon as a version has started; also while the lambda is disabled. Immutable: a change makes a new one. */
  readonly active: Deployment | undefined;
}

export interface LambdaFilter extends PageRequest {
  /** Absent: of all accounts, for the operator. */
  readonly accountId?: string | undefined;
  /** Part of the name, in any case. */
  readonly name?: string | undefined;
  readonly type?: LambdaType | undefined;
  readonly state?: LambdaState | undefined;
  readonly shared?: boolean | undefined;
}

export interface NewToken {
  /** Null makes an operator's. */
  readonly accountId: string | null;
  readonly scopes: readonly Scope[];
  readonly name?: string | undefined;
  /** Epoch milliseconds. */
  readonly expiresAt?: number | undefined;
}

/** All there is to say of an account's limits. */
export interface QuotaView {
  readonly defaults: Limits;
  /** The operator's, from the configuration. */
  readonly ceilings: PartialLimits;
  /** The account's own values. */
  readonly quota: PartialLimits;
  /** Where the account's lambdas may `fetch`; empty: nowhere. */
  readonly egress: readonly string[];
  /** Queues beside those of its own prefix, whole names. */
  readonly queues: readonly string[];
  readonly effective: Limits;
  readonly used: { readonly lambdas: number };
}

/** What one invocation used; see `Registry.usage`. */
export interface InvocationRecord {
  readonly accountId: string;
  readonly lambdaId: string;
  readonly outcome: Outcome['kind'];
  readonly cpuUs: number;
  readonly wallUs: number;
  /** The memory limit that it ran under. */
  readonly memoryMb: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface EgressRecord {
  readonly accountId: string;
  readonly lambdaId: string;
  /** Sent and received. */
  readonly bytes: number;
}

/** Counters by account, lambda and minute: kept in memory, written every few seconds. */
export interface UsageMeter {
  /** On the request path: only adds numbers. */
  invocation(record: InvocationRecord): void;
  egress(record: EgressRecord): void;
  /** What was counted so far reaches the store. */
  flush(): Promise<void>;
  /** Includes what is not yet written. */
  report(query: UsageQuery): Promise<UsageReport>;
}

/** What listeners hear, after store and memory have changed, whichever host changed them. */
export interface RegistryEvents {
  /** A lambda was made, or anything of it changed. `previous` is the deployment before, where it is another now. */
  lambdaChanged: {
    readonly lambda: LambdaEntry;
    readonly previous: Deployment | undefined;
    /** It was alive before. */
    readonly switchedOff: boolean;
  };
  lambdaDeleted: { readonly lambda: LambdaEntry };
  accountCreated: { readonly account: Account };
  accountChanged: { readonly account: Account };
  accountDeleted: { readonly accountId: string };
  /** A quota changed: the limits now in force. Each of the account's deployments was made anew before. */
  limitsChanged: { readonly accountId: string; readonly limits: Limits };
  tokenRevoked: { readonly tokenId: string; readonly accountId: string | null };
}

/**
 * The in-memory picture of what is deployed. Look-ups are synchronous and touch no database;
 * mutations write the store first, then memory, then tell the listeners.
 */
export interface Registry {
  // --- request path
  /** The principal of a token's text; undefined where it is unknown, expired or revoked. */
  authenticate(token: string): Principal | undefined;
  lambda(id: string): LambdaEntry | undefined;
  account(id: string): Account | undefined;
  /** Limits in force for an account; those of an unknown account are the defaults under the ceilings. */
  limits(accountId: string): Limits;
  readonly usage: UsageMeter;

  // --- lists
  lambdas(filter: LambdaFilter): Page<LambdaEntry>;
  /** All lambdas, in the order in which they were made. */
  allLambdas(): Iterable<LambdaEntry>;
  accounts(filter: PageRequest & { readonly name?: string | undefined }): Page<Account>;
  lambdaCount(accountId?: string): number;

  // --- accounts, tokens, quotas (lambdas are changed by the deployer)
  /** `id` where the account lives elsewhere too; by default a new UUID. Error `conflict` where it is taken. */
  createAccount(given: { readonly name: string; readonly id?: string | undefined }): Promise<Account>;
  renameAccount(accountId: string, name: string): Promise<Account>;
  /** The text is not kept: this is the only time it can be seen. */
  createToken(given: NewToken): Promise<{ readonly token: string; readonly info: TokenInfo }>;
  /** `accountId` null lists the operator's. Revoked ones are listed too. */
  tokens(accountId: string | null): Promise<readonly TokenInfo[]>;
  /** Takes effect before it resolves. Error `token_not_found` where the account has no such token. */
  revokeToken(accountId: string | null, tokenId: string): Promise<TokenInfo>;
  quota(accountId: string): QuotaView;
  /**
   * Replaces the account's own values, and its destinations and queues where they are given; in force before it resolves.
   * Error `bad_request` with problems. The rules of `egress` and the names of `queues` are checked by the caller.
   */
  setQuota(
    accountId: string,
    quota: PartialLimits,
    allowed?: Partial<Pick<QuotaView, 'egress' | 'queues'>>,
  ): Promise<QuotaView>;
  /**
   * Makes this host's token of the operator at first start, in a file of mode 0600; makes a new one where the file is gone.
   * Hosts that share the store have one each.
   */
  ensureOperatorToken(file: string): Promise<void>;

  /** The operator's ceilings and services, read again: in force before it returns. */
  reconfigure(config: Pick<Config, 'limits' | 'services'>): void;

  on<K extends keyof RegistryEvents>(event: K, listener: (event: RegistryEvents[K]) => void): () => void;
  /** Writes the usage counted so far; idempotent. The store stays open: it belongs to who opened it. */
  close(): Promise<void>;
}

/** What the deployer writes. Mutations run one after the other: the store first, then memory, then the listeners. */
export interface DeployRegistry extends Registry {
  /** Memory has all that any host committed before the call. */
  catchUp(): Promise<void>;
  /** Checks the account's `lambdas` limit in the same turn. Errors: `account_not_found`, `quota_exceeded`. */
  insertLambda(lambda: LambdaRecord, write: (tx: Repositories) => Promise<void>): Promise<LambdaEntry>;
  /**
   * `serve` puts another version in charge; a change that builds on what is there is a function. Error `lambda_not_found`
   * where it was deleted meanwhile.
   */
  changeLambda(
    lambdaId: string,
    change: LambdaChange | ((lambda: LambdaEntry) => LambdaChange),
    more?: {
      readonly serve?: ServingVersion | undefined;
      readonly write?: ((tx: Repositories) => Promise<void>) | undefined;
    },
  ): Promise<RegistryEvents['lambdaChanged']>;
  /** Returns the hashes of the blobs that its versions referred to. */
  removeLambda(lambdaId: string): Promise<string[]>;
  removeAccount(accountId: string): Promise<{ readonly lambdas: LambdaEntry[]; readonly hashes: string[] }>;
  /** The deployment that a version would serve with, under the parameters that came with it. */
  deploymentOf(
    lambdaId: string,
    version: ServingVersion,
    settings: { readonly deployParameters: DeployParameters; readonly userConfig: unknown },
  ): Deployment;
}

export interface RegistryOptions {
  readonly store: Store;
  readonly config: Pick<Config, 'limits' | 'services'>;
  /** Epoch milliseconds. */
  readonly now?: (() => number) | undefined;
  /** Bytes of bundles kept in memory for cold starts. */
  readonly bundleCacheBytes?: number | undefined;
  /** How often usage is written. */
  readonly usageFlushMs?: number | undefined;
  /** Hears of background work that failed: a usage flush. */
  readonly onError?: ((error: unknown, what: string) => void) | undefined;
}
