/** The records that the store keeps, as the rest of the host sees them. Times are epoch milliseconds. */
import type { PartialLimits } from '../config/limits.ts';
import type { Problem } from '../errors/problem.ts';
import type { LambdaType } from '../protocol/messages.ts';
import type { Outcome } from '../protocol/outcome.ts';

export const SCOPES = ['admin', 'deploy', 'invoke', 'read'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Account {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A token as it can be listed: its text is shown once, when it is made, and only its hash is kept. */
export interface TokenInfo {
  readonly id: string;
  /** Null for the operator's. */
  readonly accountId: string | null;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

/** AMQP side of a lambda; absent where it is served over HTTP alone. */
export interface AmqpParameters {
  /** Queue name; by default the module's QUEUE_NAME. */
  readonly queue?: string | undefined;
  readonly durable?: boolean | undefined;
  readonly quorum?: boolean | undefined;
  readonly passive?: boolean | undefined;
  /** Invocations from the queue at once; bounded by the lambda's own concurrency. */
  readonly concurrency?: number | undefined;
  /** Messages that the broker hands over before their acknowledgement. */
  readonly prefetch?: number | undefined;
  /** Queue for messages that can't be served; it carries the account's prefix too. */
  readonly deadLetter?: string | undefined;
}

export type RoutesAuth = 'account' | 'public';

/** What the owner says of a lambda: `parameters` of the API. */
export interface LambdaParameters {
  readonly name: string;
  readonly description: string;
  readonly type: LambdaType;
  /** The export that an `rpc` lambda is called by; null for the default. */
  readonly handler: string | null;
  readonly shared: boolean;
  readonly routesAuth: RoutesAuth;
  readonly amqp: AmqpParameters | null;
}

/** `deploy_parameters` of the API. */
export interface DeployParameters {
  /** Isolates side by side, from 1. */
  readonly instances: number;
  readonly env: Readonly<Record<string, string>>;
  /** Stacks go into error replies. */
  readonly debugErrors: boolean;
  /** Keys of a lambda's scope only. */
  readonly limits: PartialLimits;
  /** Narrows the account's destinations of `fetch`; absent: all of them. */
  readonly egress?: readonly string[] | undefined;
}

export const LAMBDA_STATES = ['waiting', 'building', 'running', 'failed', 'disabled'] as const;
export type LambdaState = (typeof LAMBDA_STATES)[number];

/** `waiting`, `building` and `starting` are taken up again after a restart; `ready` has started at least once. */
export type VersionState = 'waiting' | 'building' | 'starting' | 'ready' | 'failed';

/** One upload of a lambda. */
export interface VersionInfo {
  readonly lambdaId: string;
  /** From 1, never used twice. */
  readonly version: number;
  readonly state: VersionState;
  /** SHA-256 of the archive, hex; null where it was refused, so that nothing of it is kept. */
  readonly archiveHash: string | null;
  readonly archiveBytes: number;
  /** SHA-256 of the built bundle, hex; null until it is built. */
  readonly bundleHash: string | null;
  readonly bundleBytes: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** True for the version that serves. */
  readonly active: boolean;
}

/** How the build and the start of one version went. */
export interface BuildInfo {
  readonly lambdaId: string;
  readonly version: number;
  readonly state: VersionState;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** What was done when, a line each. */
  readonly log: readonly { readonly time: number; readonly message: string }[];
  readonly problems: readonly Problem[];
}

/** From 1. */
export interface PageRequest {
  readonly page: number;
  readonly pageSize: number;
}
export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly page: number;
  readonly pageSize: number;
}

export type UsageStep = 'minute' | 'hour' | 'day';
export interface UsageQuery {
  readonly accountId: string;
  readonly lambdaId?: string | undefined;
  /** Inclusive. */
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  readonly step: UsageStep;
}
export interface UsageTotals {
  readonly invocations: number;
  /** Invocations by how they ended: `reply`, or the kind of failure. */
  readonly outcomes: Readonly<Partial<Record<Outcome['kind'], number>>>;
  readonly cpuSeconds: number;
  /** Memory limit times wall time. */
  readonly gbSeconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly egressRequests: number;
  readonly egressBytes: number;
}
export interface UsagePoint extends UsageTotals {
  /** Start of the step, in UTC. */
  readonly time: number;
}
export interface UsageReport {
  readonly points: readonly UsagePoint[];
  readonly total: UsageTotals;
}
