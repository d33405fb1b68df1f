import type { CallerSignal } from '../../protocol/caller-signal.ts';
import type { RpcHead } from '../../protocol/invocation.ts';
import type { Outcome } from '../../protocol/outcome.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { TlsOptions } from '../../amqp/connection.ts';
import type { QueueSpec } from './topology.ts';
import type { Tracer } from '../../telemetry/trace-context.ts';

/** What the gateway knows of a request; `serve` adds whose it is. */
export type RequestHead = Omit<RpcHead, 'accountId'>;

/** One message, on its way to a handler. */
export interface ServeRequest {
  readonly head: RequestHead;
  /** As it came, but for its content encoding; the guest decodes it by `head.contentType`. */
  readonly body: Uint8Array;
  /** Aborts at the deadline, and when the grace time of a stop has run out. */
  readonly signal: CallerSignal;
}

/** Runs one request. Should not reject: a rejection is logged and answered as `internal`. */
export type Serve = (request: ServeRequest) => Promise<Outcome>;

export interface QueueServiceOptions {
  readonly url: string;
  readonly queue: QueueSpec;
  readonly serve: Serve;
  /** Handlers at once; 1 is the blocking runtime. */
  readonly concurrency?: number | undefined;
  /** Messages that the broker hands over before their acknowledgement; by default a small multiple of `concurrency`. */
  readonly prefetch?: number | undefined;
  /** The lambda's own limit, in milliseconds, counted from the message's arrival. */
  readonly timeoutMs?: number | undefined;
  /** Body of a request, after its content encoding was undone. */
  readonly requestBytes?: number | undefined;
  /** All headers of a request, measured as JSON text. */
  readonly headerBytes?: number | undefined;
  /** Body of a reply. */
  readonly replyBytes?: number | undefined;
  /** Deliveries of one message, where the queue counts them (quorum queues), before it is dead-lettered unrun. */
  readonly maxDeliveries?: number | undefined;
  /** Which queues replies may go to; by default any. Direct reply-to is always allowed. */
  readonly mayReplyTo?: ((queue: string) => boolean) | undefined;
  /** Begins the connections' names, as the broker lists them. */
  readonly name?: string | undefined;
  readonly tracer?: Tracer | undefined;
  readonly log?: Logger | undefined;
  readonly tls?: TlsOptions | undefined;
  /** A link gave up after `connection_attempts`: the service serves nothing any more. */
  readonly onFailed?: ((error: Error) => void) | undefined;
}

/** Counters since the start, and how things stand. */
export interface QueueServiceStats {
  readonly received: number;
  readonly redelivered: number;
  readonly replied: number;
  /** Ran without `reply_to`. */
  readonly unanswered: number;
  readonly failed: number;
  readonly deadLettered: number;
  readonly requeued: number;
  /** Replies that the broker refused for good, or that could not be encoded. */
  readonly undeliverable: number;
  /** Messages whose headers no AMQP library here can read. */
  readonly undecodable: number;
  readonly waiting: number;
  readonly running: number;
  /** Replies that the broker is not known to have. */
  readonly unconfirmed: number;
  readonly reconnects: number;
}
