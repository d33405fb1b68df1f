import type { Clients } from './clients.ts';
import type { Platform, LambdaSignal } from './platform.ts';

/** What all requests of a lambda share. */
export interface LambdaScope {
  readonly lambdaId: string;
  readonly platform: Platform;
  /** The instance of the lambda's `UserCtx`; undefined where it has none. */
  readonly userCtx: unknown;
  /** Changes when the user configuration is set anew. */
  readonly userConfig: () => unknown;
  readonly clientsFor: (invocation: number) => Clients;
}

/** One invocation, as its request sees it. */
export interface InvocationScope {
  readonly id: number;
  readonly signal: () => LambdaSignal;
}
