import type { Deployment } from '../config/deployment.ts';
import type { CallerSignal } from '../protocol/caller-signal.ts';
import type { ByteChunks } from '../protocol/frame.ts';
import type { InvocationHead } from '../protocol/invocation.ts';
import type { Loaded } from '../protocol/messages.ts';
import type { InvocationTrace } from '../telemetry/run-trace.ts';
import type { Failure, Outcome } from '../protocol/outcome.ts';

export type RetireReason = 'update' | 'delete' | 'disable' | 'idle' | 'shutdown';

export interface InstanceStatus {
  readonly state: 'starting' | 'running' | 'draining';
  readonly heapBytes: number;
  readonly cpuMs: number;
  readonly requests: number;
  readonly inFlight: number;
  readonly runnerPid: number;
}

export interface RunnerStatus {
  readonly pid: number;
  /** Absent for a spare. */
  readonly accountId?: string | undefined;
  readonly isolates: number;
  readonly residentBytes: number;
}

/** What an invocation cost; reported once, when it ended. */
export interface InvocationUsage {
  readonly cpuUs: number;
}

export interface PoolInvocation {
  readonly head: InvocationHead;
  readonly body: Uint8Array | ByteChunks;
  /** Aborts when the caller went away. */
  readonly signal?: CallerSignal | undefined;
  /** Aborts when the lambda is to end by itself: its own signal aborts then, and its result still counts. */
  readonly interrupt?: CallerSignal | undefined;
  readonly trace?: InvocationTrace | undefined;
}

export interface Pool {
  /** Makes the runner image and boots the spares. */
  start(): Promise<void>;
  /** Which wall stands around the runners of this host, and why not a better one. */
  readonly jail: { readonly kind: 'bubblewrap' | 'none'; readonly reason: string };
  /** Runs one invocation. Never rejects: every end is an Outcome. */
  invoke(
    deployment: Deployment,
    invocation: PoolInvocation,
  ): Promise<{ outcome: Outcome; usage: InvocationUsage }>;
  /** Loads the deployment into an isolate, as the first invocation would; resolves with what it says of itself, or why it failed. */
  prepare(deployment: Deployment): Promise<Loaded | Failure>;
  /** Invocations in flight finish, `onShutdown` runs, the isolates go. Other versions of the lambda are untouched. */
  retire(lambdaId: string, version: number, reason: RetireReason): Promise<void>;
  /** Its runner ends with the last of its isolates, and is not kept for another call. */
  accountDeleted(accountId: string): void;
  /** A new user configuration for the isolates that run; the next request sees it. */
  configure(lambdaId: string, userConfig: unknown): void;
  instances(lambdaId: string): InstanceStatus[];
  runners(): RunnerStatus[];
  /** Stops intake, lets what is in flight finish within the grace time, ends all processes; idempotent. */
  close(graceMs: number): Promise<void>;
}
