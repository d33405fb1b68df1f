/**
 * How an invocation can end: one closed union. Gateways render it, metrics count it, nothing else decides it.
 */

/** Header names (lower case) and values, as a flat list: name, value, name, value. Keeps order and repeats. */
export type HeaderList = readonly string[];

/** The lambda answered. */
export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

/** Every way of not answering. The error table (`src/errors/table.ts`) gives each its code and HTTP status. */
export const FAILURE_KINDS = [
  // the lambda's own doing
  'user_exception', // threw a UserException: status and text are the lambda's
  'exception', // threw anything else
  'reply_not_serializable',
  'reply_invalid', // a status or header that HTTP does not allow
  'reply_too_large',
  // the request's doing
  'request_invalid', // a body that is not what its content type says
  'request_too_large',
  'route_not_found',
  'method_not_allowed',
  'canceled', // the client went away
  // limits
  'timeout',
  'cpu_limit',
  'memory_limit',
  'rate_limited',
  'concurrency_limit',
  'queue_full',
  'queue_timeout',
  // state
  'not_ready',
  'disabled',
  'start_failed',
  'quarantined',
  'isolate_lost', // shared an isolate with an invocation that broke a limit
  'runner_lost',
  'draining',
  'internal',
] as const;
export type FailureKind = (typeof FAILURE_KINDS)[number];

export interface Failure {
  readonly kind: FailureKind;
  /** What happened, for the caller. Never holds another account's data, nor the host's paths. */
  readonly detail: string;
  /** `user_exception`: the status that the lambda chose. */
  readonly status?: number | undefined;
  /** `exception`, `user_exception`: the name of the error's class. */
  readonly type?: string | undefined;
  /** The source-mapped stack, present only where the lambda asks for it. */
  readonly stack?: string | undefined;
  /** `method_not_allowed`: the value of the Allow header. */
  readonly allow?: string | undefined;
  /** When it makes sense to try again. */
  readonly retryAfterMs?: number | undefined;
}

export type Outcome = Reply | Failure;

const KINDS: ReadonlySet<string> = new Set(FAILURE_KINDS);

export function isFailureKind(kind: unknown): kind is FailureKind {
  return typeof kind === 'string' && KINDS.has(kind);
}

/** What a call is told that used more than `cpu_ms`, whoever found out. */
export const overCpuDetail = (cpuMs: number): string =>
  `an invocation computed for longer than it may: cpu_ms is ${cpuMs}`;

export function failure(
  kind: FailureKind,
  detail: string,
  more: Omit<Failure, 'kind' | 'detail'> = {},
): Failure {
  return { kind, detail, ...more };
}
