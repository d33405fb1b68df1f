import type { PartialLimits } from '../config/limits.ts';
import type { Deployer } from '../deploy/types.ts';
import type { LogLine } from '../protocol/messages.ts';
import type { LambdaEntry, Registry } from '../registry/types.ts';
import type { ReadinessCheck } from '../schemas/host.ts';
import type { Tasks } from '../tasks/types.ts';

/** A line as the log store keeps it. */
export interface StoredLine extends LogLine {
  readonly sequence: number;
  readonly version: number;
}

export interface LogFilter {
  readonly lambdaId: string;
  /** The least level. */
  readonly level?: LogLine['level'] | undefined;
  /** Epoch milliseconds, both inclusive. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly requestId?: string | undefined;
  /** Lines after this sequence number. */
  readonly after?: number | undefined;
}

/** What the API needs of the log store. */
export interface LogReader {
  /** The newest lines that match, oldest first. */
  query(filter: LogFilter, limit: number): Promise<readonly StoredLine[]>;
  /** Calls `onLine` for each new line that matches, until the returned function is called. */
  follow(filter: LogFilter, onLine: (line: StoredLine) => void): () => void;
}

/** A text that another part of the host makes: metrics, a lambda's OpenAPI document. */
export interface TextDocument {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

export interface ManagementApiOptions {
  readonly registry: Registry;
  readonly deployer: Deployer;
  readonly logs: LogReader;
  /** `start` and `stop` are the host's. */
  readonly tasks: Omit<Tasks, 'start' | 'stop'>;
  /** Of isolambda. */
  readonly version: string;
  /** What `/readiness` looks at, by name; the host is ready when every check is ok. */
  readonly readiness: () => Promise<Readonly<Record<string, ReadinessCheck>>>;
  /** What is wrong with destinations of `fetch`, a sentence each. Where it is missing, the host refuses them when they are used. */
  readonly egressProblems?: ((rules: readonly string[]) => readonly string[]) | undefined;
  /** False where the host has no broker: `parameters.amqp` is refused then. */
  readonly servesQueues?: boolean | undefined;
  /** What an account uses now of its limits, beyond the number of its lambdas: `account_concurrency`, `queue`, ... */
  readonly used?: ((accountId: string) => PartialLimits) | undefined;
  /** The host's metrics; without it there is no `/metrics`. */
  readonly metrics?: (() => Promise<TextDocument>) | undefined;
  /** A lambda's own metrics; without it there is no `/1/lambdas/{id}/metrics`. */
  readonly lambdaMetrics?: ((lambda: LambdaEntry, requestId: string) => Promise<TextDocument>) | undefined;
  /** The OpenAPI document that a lambda gives of itself; without it there is no `/1/lambdas/{id}/docs/spec`. */
  readonly lambdaSpec?: ((lambda: LambdaEntry, requestId: string) => Promise<TextDocument>) | undefined;
  /** Told how many lines followers were too slow for. */
  readonly onLogMissed?: ((lines: number) => void) | undefined;
  /** How often a follower of a log hears that the connection lives; 15 seconds by default. */
  readonly heartbeatMs?: number | undefined;
}
