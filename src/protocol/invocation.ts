import type { HeaderList } from './outcome.ts';

/** What an invocation carries into the isolate: the head of an `invoke` frame. The body travels beside it, as bytes. */
export type InvocationHead = HttpHead | RpcHead | TaskHead | MetricsHead;

interface AnyHead {
  readonly requestId: string;
  /** Who calls: the lambda's own account, or another where the lambda is shared. */
  readonly accountId: string;
  /** Epoch milliseconds. */
  readonly deadlineMs: number;
  /** W3C trace context of the caller, where there is one. */
  readonly traceparent?: string | undefined;
}

/** An HTTP request, on its way to `/main`, `/healthcheck`, `/config`, `/docs/spec` or an added route. */
export interface HttpHead extends AnyHead {
  readonly kind: 'http';
  readonly method: string;
  /** Below `/proxy`: begins with a slash, percent-encoded as received, without the query. */
  readonly path: string;
  /** After the question mark, as received; empty when there is none. */
  readonly query: string;
  readonly headers: HeaderList;
  readonly clientIp: string;
}

/** An AMQP RPC message for `lambda_handler(event, context)`. The guest decodes the body by `contentType`. */
export interface RpcHead extends AnyHead {
  readonly kind: 'rpc';
  readonly contentType: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly redelivered: boolean;
}

/**
 * A task is split, or one of its subtasks is executed: the body is the content, as JSON. The reply to a split is the
 * subtasks' contents, a line of JSON each.
 */
export interface TaskHead extends AnyHead {
  readonly kind: 'task';
  readonly taskId: number;
  /** From 1; absent where the task is split. */
  readonly subtaskId?: number | undefined;
  /** From 1. */
  readonly attempt: number;
}

/**
 * The host asks an isolate for what it counted and for the lambda's own metrics. A kind of its own, because a path could be
 * asked by clients, or be a route of the lambda.
 */
export interface MetricsHead extends AnyHead {
  readonly kind: 'metrics';
}
