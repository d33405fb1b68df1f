import type { CallerSignal } from '../protocol/caller-signal.ts';
import type { ByteChunks } from '../protocol/frame.ts';
import type { InvocationHead } from '../protocol/invocation.ts';
import type { Failure, Outcome } from '../protocol/outcome.ts';
import type { TraceContext } from '../telemetry/trace-context.ts';
import type { LambdaEntry } from '../registry/types.ts';

/** Which edge an invocation came through; a label of the metrics. */
export type Source = 'http' | 'amqp' | 'task';

export interface InvokeRequest {
  readonly source: Source;
  readonly lambda: LambdaEntry;
  readonly head: InvocationHead;
  readonly body: Uint8Array | ByteChunks;
  /** Aborts when the caller went away. */
  readonly signal?: CallerSignal | undefined;
  /** Aborts when the lambda is to end by itself, see PoolInvocation; who still waits for a place ends at once. */
  readonly interrupt?: CallerSignal | undefined;
  /**
   * Milliseconds that it may run, counted from its admission: the head's deadline is then that of the wait for a place.
   * For callers that are not kept waiting, as tasks are.
   */
  readonly runMs?: number | undefined;
  /** The edge's own span; by default what `head.traceparent` names. */
  readonly trace?: TraceContext | undefined;
}

export interface Invoke {
  /** Runs one invocation, from admission to outcome. Never rejects. */
  (request: InvokeRequest): Promise<Outcome>;
  /** An edge refused a request before it was an invocation, its body too large to be taken in: it counts all the same. */
  refused(source: Source, lambda: LambdaEntry, outcome: Failure): void;
  /** From now on every new invocation ends as `draining`. */
  drain(): void;
  /** Resolves once nothing is in flight. */
  idle(): Promise<void>;
}
