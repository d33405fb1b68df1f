import type { LambdaType, ServiceDescription } from '../protocol/messages.ts';
import type { Limits } from './limits.ts';

/** One version of a lambda, ready to run: the registry makes it, admission and pool read it. Immutable: a changed quota makes a new one. */
export interface Deployment {
  readonly accountId: string;
  readonly lambdaId: string;
  readonly version: number;
  readonly type: LambdaType;
  readonly handler: string;
  readonly limits: Limits;
  /** Isolates of this lambda side by side. */
  readonly instances: number;
  readonly lambdaConfig: unknown;
  readonly userConfig: unknown;
  /** Where `fetch` may go: a destination must be on every one of these lists (operator, account, lambda). */
  readonly egress: readonly (readonly string[])[];
  readonly env: Readonly<Record<string, string>>;
  readonly services: Readonly<Record<string, ServiceDescription>>;
  readonly debugErrors: boolean;
  /** Where it is given, each isolate's CPU is profiled, and the `.cpuprofile` (JSON) comes here when the isolate ends. */
  readonly onProfile?: ((profile: Uint8Array) => void) | undefined;
  readonly loadBundle: () => Promise<{ readonly code: Uint8Array; readonly map: Uint8Array }>;
}
