import { isDeepStrictEqual } from 'node:util';
import type { Deployment } from '../config/deployment.ts';
import type { LambdaType } from '../protocol/messages.ts';
import type { LambdaChange, LambdaRecord, LoadedLambda, ServingVersion } from '../store/lambdas.ts';
import type { AmqpParameters, DeployParameters, LambdaState, RoutesAuth } from '../store/types.ts';
import type { AccountState } from './account-book.ts';
import type { BundleParts } from './bundles.ts';
import type { LambdaEntry } from './types.ts';

/** What a deployment needs besides its lambda. */
export interface DeploymentParts {
  loadBundle(hash: string): Promise<BundleParts>;
}

/**
 * A lambda in memory. Configurations stay text, and a deployment is made when it is first asked for: of 100,000 lambdas
 * few are called at once.
 */
export class Lambda implements LambdaEntry {
  readonly owner: AccountState;
  readonly #parts: DeploymentParts;
  #record: LambdaRecord;
  #serving: ServingVersion | undefined;
  #deployment: Deployment | undefined;

  constructor(
    owner: AccountState,
    record: LambdaRecord,
    serving: ServingVersion | undefined,
    parts: DeploymentParts,
  ) {
    this.owner = owner;
    this.#parts = parts;
    this.#record = lean(record, owner.account.id);
    this.#serving = serving && leanServing(serving);
  }

  get id(): string {
    return this.#record.id;
  }
  get accountId(): string {
    return this.owner.account.id;
  }
  get name(): string {
    return this.#record.name;
  }
  get description(): string {
    return this.#record.description;
  }
  get type(): LambdaType {
    return this.#record.type;
  }
  get handler(): string | null {
    return this.#record.handler;
  }
  get shared(): boolean {
    return this.#record.shared;
  }
  get routesAuth(): RoutesAuth {
    return this.#record.routesAuth;
  }
  get amqp(): AmqpParameters | null {
    return this.#record.amqp === null ? null : (JSON.parse(this.#record.amqp) as AmqpParameters);
  }
  get allowedQueues(): readonly string[] {
    return this.owner.quota.queues;
  }
  get alive(): boolean {
    return this.#record.alive;
  }
  get state(): LambdaState {
    return this.#record.alive ? this.#record.state : 'disabled';
  }
  get stateDetail(): string {
    return this.#record.stateDetail;
  }
  get version(): number {
    return this.#record.activeVersion ?? this.#record.latestVersion;
  }
  get latestVersion(): number {
    return this.#record.latestVersion;
  }
  get userConfig(): unknown {
    return JSON.parse(this.#record.userConfig) as unknown;
  }
  get deployParameters(): DeployParameters {
    return deployParametersOf(this.#record.deployParameters);
  }
  get createdAt(): number {
    return this.#record.createdAt;
  }
  get updatedAt(): number {
    return this.#record.updatedAt;
  }
  get queueName(): string | undefined {
    return this.#serving?.queueName ?? undefined;
  }
  /** Of the version that serves. */
  get bundleHash(): string | undefined {
    return this.#serving?.bundleHash;
  }
  get active(): Deployment | undefined {
    if (this.#serving === undefined) return undefined;
    return (this.#deployment ??= this.deploymentOf(this.#serving, this.deployParameters, this.userConfig));
  }

  deploymentOf(serving: ServingVersion, deploy: DeployParameters, userConfig: unknown): Deployment {
    const { bundleHash } = serving;
    const parts = this.#parts;
    const { owner } = this;
    return Object.freeze({
      accountId: this.accountId,
      lambdaId: this.id,
      version: serving.version,
      type: serving.type,
      handler: serving.entry,
      limits: owner.limitsFor(deploy.limits),
      instances: deploy.instances,
      lambdaConfig: JSON.parse(serving.lambdaConfig) as unknown,
      userConfig,
      egress: deploy.egress === undefined ? [owner.quota.egress] : [owner.quota.egress, deploy.egress],
      env: deploy.env,
      services: owner.services,
      debugErrors: deploy.debugErrors,
      loadBundle: () => parts.loadBundle(bundleHash),
    });
  }

  /** The deployment is made anew when it is next asked for. */
  refresh(): void {
    this.#deployment = undefined;
  }

  /** After the store has it. `previous` is the deployment before, where it may be another now. */
  apply(change: LambdaChange, serve: ServingVersion | undefined): Applied {
    const previous = this.active;
    const switchedOff = this.#record.alive && change.alive === false;
    this.#record = lean({ ...this.#record, ...withoutUndefined(change) }, this.accountId);
    if (serve) this.#serving = leanServing(serve);
    const redeploys =
      serve !== undefined || change.deployParameters !== undefined || change.userConfig !== undefined;
    if (redeploys) this.#deployment = undefined;
    return { previous: redeploys ? previous : undefined, switchedOff };
  }

  /** As another host left it in the store. */
  replace({ lambda, serving }: LoadedLambda): Applied {
    const before = this.#record;
    const after = lean(lambda, this.accountId);
    const change = Object.fromEntries(
      Object.entries(after).filter(([key, value]) => before[key as keyof LambdaRecord] !== value),
    ) as LambdaChange;
    const serves = serving === undefined ? undefined : leanServing(serving);
    return this.apply(change, isDeepStrictEqual(serves, this.#serving) ? undefined : serves);
  }
}

export interface Applied {
  readonly previous: Deployment | undefined;
  /** It was alive before. */
  readonly switchedOff: boolean;
}

/** What is undefined stays as it was, as in the store. */
function withoutUndefined<T extends object>(change: T): T {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as T;
}

/** Texts that most lambdas have in common are kept once. */
const common = new Map<string, string>();
const COMMON_TEXTS = 10_000;
const COMMON_LENGTH = 256;
function once<T extends string | null>(text: T): T;
function once(text: string | null): string | null {
  if (text === null || text.length > COMMON_LENGTH) return text;
  const known = common.get(text);
  if (known !== undefined) return known;
  if (common.size < COMMON_TEXTS) common.set(text, text);
  return text;
}

/** One object shape, written once: literals of one shape share their hidden class. */
function lean(record: LambdaRecord, accountId: string): LambdaRecord {
  return {
    id: record.id,
    accountId,
    name: record.name,
    description: once(record.description),
    type: once(record.type),
    handler: once(record.handler),
    shared: record.shared,
    routesAuth: once(record.routesAuth),
    amqp: once(record.amqp),
    alive: record.alive,
    state: once(record.state),
    stateDetail: once(record.stateDetail),
    activeVersion: record.activeVersion,
    latestVersion: record.latestVersion,
    userConfig: once(record.userConfig),
    deployParameters: once(record.deployParameters),
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
  };
}

function leanServing(serving: ServingVersion): ServingVersion {
  return {
    version: serving.version,
    type: once(serving.type),
    entry: once(serving.entry),
    queueName: once(serving.queueName),
    lambdaConfig: once(serving.lambdaConfig),
    bundleHash: serving.bundleHash,
  };
}

const DEFAULT_DEPLOY: DeployParameters = Object.freeze({
  instances: 1,
  env: Object.freeze({}),
  debugErrors: false,
  limits: Object.freeze({}),
});

/** Stored parameters of an older release may lack what was added since. */
export function deployParametersOf(text: string): DeployParameters {
  return { ...DEFAULT_DEPLOY, ...(JSON.parse(text) as Partial<DeployParameters>) };
}
