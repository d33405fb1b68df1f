import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_LIMITS } from '../../config/limits.ts';
import { IsolambdaError } from '../../errors/error.ts';
import { BrokerLink } from '../../amqp/connection.ts';
import { Consumer } from './consumer.ts';
import { newCounts } from './counts.ts';
import { Dispatcher } from './dispatcher.ts';
import { mostHeld } from './hold.ts';
import { Publisher } from './publisher.ts';
import { Responder } from './responder.ts';
import { checkQueueName } from './topology.ts';
import type { QueueServiceOptions, QueueServiceStats } from './types.ts';
import { parseBrokerUrl } from '../../amqp/url.ts';

export type QueueServiceState = 'idle' | 'starting' | 'serving' | 'draining' | 'stopped' | 'failed';

/** Messages in hand per handler: enough that none waits for the broker between two messages. */
const PREFETCH_PER_HANDLER = 4;
/** AMQP counts the prefetch in 16 bits. */
const MAX_PREFETCH = 65_535;
/** Replies that are ready when a stop's grace time is over still get so long to reach the broker. */
const CONFIRM_GRACE_MS = 2_000;

/** Serves one queue: each message becomes one call of `serve`, and one reply. */
export class QueueService {
  readonly #counts = newCounts();
  readonly #publisher: Publisher;
  readonly #dispatcher: Dispatcher;
  readonly #consumer: Consumer;
  readonly #publishing: BrokerLink;
  readonly #consuming: BrokerLink;
  readonly #options: QueueServiceOptions;
  #state: QueueServiceState = 'idle';
  #stopping: Promise<void> | undefined;

  /** Throws IsolambdaError `configuration` for a URL or a queue name that cannot work. */
  constructor(options: QueueServiceOptions) {
    this.#options = options;
    const { serve, queue, tracer, tls } = options;
    checkQueueName(queue.name);
    const url = parseBrokerUrl(options.url);
    const counts = this.#counts;
    const log = options.log?.child({ queue: queue.name });
    const now = Date.now;
    const concurrency = options.concurrency ?? DEFAULT_LIMITS.concurrency;
    const name = options.name ?? `isolambda ${queue.name}`;
    const prefetch = Math.min(MAX_PREFETCH, options.prefetch ?? concurrency * PREFETCH_PER_HANDLER);
    const publisher = new Publisher({
      onRelief: () => this.#dispatcher.pump(),
      // A reply's span, and the request's, end when the broker has the reply: they tell the true time.
      mostHeld: tracer ? 0 : mostHeld(prefetch),
    });
    const replyBytes = options.replyBytes ?? DEFAULT_LIMITS.reply_bytes;
    const responder = new Responder({ publisher, counts, replyBytes, tracer, log, now });
    this.#publisher = publisher;
    this.#dispatcher = new Dispatcher({
      serve,
      responder,
      congested: () => publisher.congested,
      concurrency,
      requestBytes: options.requestBytes ?? DEFAULT_LIMITS.request_bytes,
      headerBytes: options.headerBytes ?? DEFAULT_LIMITS.header_bytes,
      tracer,
      log,
      now,
    });
    const consumer = new Consumer({
      queue,
      dispatcher: this.#dispatcher,
      responder,
      counts,
      prefetch,
      timeoutMs: options.timeoutMs ?? DEFAULT_LIMITS.timeout_ms,
      maxDeliveries: options.maxDeliveries ?? 5,
      mayReplyTo: options.mayReplyTo ?? (() => true),
      log,
      now,
    });
    this.#consumer = consumer;
    const onFailed = (error: Error): void => this.#fail(error);
    this.#publishing = new BrokerLink({
      url,
      name: `${name} (publish)`,
      setup: (model, fail) => publisher.attach(model, fail),
      onDown: (error) => publisher.detach(error),
      onFailed,
      log,
      tls,
    });
    this.#consuming = new BrokerLink({
      url,
      name: `${name} (consume)`,
      setup: (model, fail) => consumer.attach(model, fail),
      onDown: (error) => consumer.detach(error),
      onFailed,
      log,
      tls,
    });
  }

  get state(): QueueServiceState {
    return this.#state;
  }

  /**
   * Connects, declares the queue, consumes. Rejects with IsolambdaError `configuration` when the broker refuses, or
   * when no attempt of `connection_attempts` succeeds.
   */
  async start(): Promise<void> {
    if (this.#state !== 'idle')
      throw new IsolambdaError(
        'conflict',
        `the service of queue "${this.#options.queue.name}" was started before`,
      );
    this.#state = 'starting';
    try {
      // Replies need a way out before the first message comes in.
      await this.#publishing.start();
      await this.#consuming.start();
    } catch (error) {
      this.#state = 'failed';
      await Promise.all([this.#publishing.close(), this.#consuming.close()]);
      throw error;
    }
    if (this.#state === 'starting') this.#state = 'serving';
  }

  /**
   * Takes nothing more, lets what runs finish and reply within `graceMs`, gives the rest back to the queue (or, where
   * the queue dies with its last consumer, answers it with `draining`), and closes. Idempotent.
   */
  stop(graceMs: number): Promise<void> {
    return (this.#stopping ??= this.#stop(graceMs));
  }

  stats(): QueueServiceStats {
    return {
      ...this.#counts,
      waiting: this.#dispatcher.waiting,
      running: this.#dispatcher.running,
      unconfirmed: this.#publisher.unconfirmed,
      reconnects: this.#publishing.reconnects + this.#consuming.reconnects,
    };
  }

  async #stop(graceMs: number): Promise<void> {
    if (this.#state !== 'failed') this.#state = 'draining';
    await this.#consumer.drain();
    const timer = new AbortController();
    const after = (ms: number): Promise<void> =>
      sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.#dispatcher.whenEmpty(), after(graceMs)]);
    this.#consumer.abandon();
    await Promise.race([this.#publisher.whenIdle(), after(CONFIRM_GRACE_MS)]);
    timer.abort();
    await this.#consumer.finish();
    await Promise.all([this.#publishing.close(), this.#consuming.close()]);
    if (this.#state === 'draining') this.#state = 'stopped';
  }

  #fail(error: Error): void {
    if (this.#state === 'draining' || this.#state === 'stopped' || this.#state === 'failed') return;
    this.#state = 'failed';
    this.#options.onFailed?.(error);
  }
}
