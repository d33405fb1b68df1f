import type { Config } from '../config/config.ts';
import { effectiveLimits, type Limits, type PartialLimits } from '../config/limits.ts';
import type { ServiceDescription } from '../protocol/messages.ts';
import type { Quota } from '../store/quotas.ts';
import type { Account } from '../store/types.ts';
import type { Lambda } from './lambda.ts';

type Services = Readonly<Record<string, ServiceDescription>>;

/** Distinct sets of limits that are shared; a bound on what tenants' wishes can fill. */
const LIMITS_KEPT = 10_000;

/** An account in memory: what it may use, and its lambdas in the order in which they were made. */
export class AccountState {
  static readonly NO_QUOTA: Quota = { limits: {}, egress: [], queues: [] };
  account: Account;
  quota = AccountState.NO_QUOTA;
  readonly lambdas: Lambda[] = [];
  readonly #book: AccountBook;
  #limits: Limits | undefined;
  #services: Services | undefined;

  constructor(account: Account, book: AccountBook) {
    this.account = account;
    this.#book = book;
  }

  /** In force for the account; the same object until a quota or a ceiling changes. */
  get limits(): Limits {
    return (this.#limits ??= this.#book.limitsOf(this.quota.limits, {}));
  }

  /** In force for a lambda that asks for less. */
  limitsFor(wishes: PartialLimits): Limits {
    return this.#book.limitsOf(this.quota.limits, wishes);
  }

  /** Services that the operator enabled for the account. */
  get services(): Services {
    return (this.#services ??= this.#book.servicesOf(this.account.id));
  }

  /** Quota, ceilings or services changed: whoever asks next gets new objects, deployments included. */
  refresh(): void {
    this.#limits = undefined;
    this.#services = undefined;
    for (const lambda of this.lambdas) lambda.refresh();
  }
}

/** All accounts, in the order in which they were made. */
export class AccountBook {
  readonly states = new Map<string, AccountState>();
  config: Pick<Config, 'limits' | 'services'>;
  readonly #limits = new Map<string, Limits>();
  readonly #services = new Map<string, Services>();

  constructor(config: Pick<Config, 'limits' | 'services'>) {
    this.config = config;
  }

  add(account: Account): AccountState {
    const state = new AccountState(account, this);
    this.states.set(account.id, state);
    return state;
  }

  /** What an account without a quota may use. */
  get defaults(): Limits {
    return this.limitsOf({}, {});
  }

  /** Limits in force. Most accounts and lambdas have the same ones: these share one object. */
  limitsOf(quota: PartialLimits, wishes: PartialLimits): Limits {
    const key = `${JSON.stringify(quota)} ${JSON.stringify(wishes)}`;
    let limits = this.#limits.get(key);
    if (limits === undefined) {
      if (this.#limits.size >= LIMITS_KEPT) this.#limits.clear();
      limits = Object.freeze(effectiveLimits(this.config.limits, quota, wishes));
      this.#limits.set(key, limits);
    }
    return limits;
  }

  reconfigure(config: Pick<Config, 'limits' | 'services'>): void {
    this.config = config;
    this.#limits.clear();
    this.#services.clear();
    for (const state of this.states.values()) state.refresh();
  }

  /** Accounts that may use the same services share one object. */
  servicesOf(accountId: string): Services {
    const allowed = Object.entries(this.config.services).filter(
      ([, service]) =>
        service.enabled && (service.accounts.length === 0 || service.accounts.includes(accountId)),
    );
    const key = allowed.map(([name]) => name).join(' ');
    let services = this.#services.get(key);
    if (services === undefined) {
      services = Object.freeze(
        Object.fromEntries(
          allowed.map(([name, { address, manifest }]) => [name, { address, methods: manifest.methods }]),
        ),
      );
      this.#services.set(key, services);
    }
    return services;
  }
}
