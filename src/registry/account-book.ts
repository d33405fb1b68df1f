import type { Config } from '../config/config.ts';
import { effectiveLimits, type Limits, type PartialLimits } from '../config/limits.ts';
import type { ServiceDescription } from '../protocol/messages.ts';
import type { Quota } from '../store/quotas.ts';
import type { Account } from '../store/types.ts';
import type { Lambda } from './lambda.ts';

type Services = Readonly<Record<string, ServiceDescription>>;

/** An account in memory: what it may use, and its lambdas in the order in which they were made. */
export class AccountState {
  account: Account;
  quota: Quota = { limits: {}, egress: [] };
  readonly lambdas: Lambda[] = [];
  readonly #book: AccountBook;
  #limits: Limits | undefined;
  #byWishes: Map<string, Limits> | undefined;
  #services: Services | undefined;

  constructor(account: Account, book: AccountBook) {
    this.account = account;
    this.#book = book;
  }

  /** In force for the account; one object until a quota or a ceiling changes. */
  get limits(): Limits {
    return (this.#limits ??= Object.freeze(effectiveLimits(this.#book.config.limits, this.quota.limits)));
  }

  /** In force for a lambda that asks for less. Lambdas with the same wishes share one object. */
  limitsFor(wishes: PartialLimits): Limits {
    const key = JSON.stringify(wishes);
    if (key === '{}') return this.limits;
    this.#byWishes ??= new Map();
    let limits = this.#byWishes.get(key);
    if (limits === undefined) {
      limits = Object.freeze(effectiveLimits(this.#book.config.limits, this.quota.limits, wishes));
      this.#byWishes.set(key, limits);
    }
    return limits;
  }

  /** Services that the operator enabled for the account. */
  get services(): Services {
    return (this.#services ??= this.#book.servicesOf(this.account.id));
  }

  /** Quota, ceilings or services changed: whoever asks next gets new objects, deployments included. */
  refresh(): void {
    this.#limits = undefined;
    this.#byWishes = undefined;
    this.#services = undefined;
    for (const lambda of this.lambdas) lambda.refresh();
  }
}

/** All accounts, in the order in which they were made. */
export class AccountBook {
  readonly states = new Map<string, AccountState>();
  config: Pick<Config, 'limits' | 'services'>;
  #defaults: Limits | undefined;
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
    return (this.#defaults ??= Object.freeze(effectiveLimits(this.config.limits, {})));
  }

  reconfigure(config: Pick<Config, 'limits' | 'services'>): void {
    this.config = config;
    this.#defaults = undefined;
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
