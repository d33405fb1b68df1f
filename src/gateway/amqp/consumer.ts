import type { Channel, ChannelModel } from 'amqplib';
import { failure } from '../../protocol/outcome.ts';
import type { Logger } from '../../telemetry/log.ts';
import { AckWindow, type Delivered } from './acks.ts';
import type { Counts } from './counts.ts';
import type { Dispatcher } from './dispatcher.ts';
import { Job } from './job.ts';
import { deliveriesBefore } from './poison.ts';
import { Prober } from './prober.ts';
import { isDirectReplyTo } from './queue-name.ts';
import type { Responder } from './responder.ts';
import { consumersOf, declareQueue, refusesTransient, type QueueSpec } from './topology.ts';
import { batchWrites } from '../../amqp/write-batching.ts';

export interface ConsumerOptions {
  readonly queue: QueueSpec;
  readonly dispatcher: Dispatcher;
  readonly responder: Responder;
  readonly counts: Counts;
  readonly prefetch: number;
  readonly timeoutMs: number;
  readonly maxDeliveries: number;
  readonly mayReplyTo: (queue: string) => boolean;
  readonly log: Pick<Logger, 'info' | 'warn'> | undefined;
  readonly now: () => number;
}

/** What is set up on one connection, and void with it. */
interface Subscription {
  readonly model: ChannelModel;
  readonly channel: Channel;
  readonly window: AckWindow;
  readonly diesWithConsumer: boolean;
  consumerTag: string | undefined;
}

/** Takes messages off the queue, on one connection after another. */
export class Consumer {
  readonly #options: ConsumerOptions;
  #now: Subscription | undefined;
  /** The broker refused a transient queue: a durable one stands in for it. */
  #standIn = false;
  /** serve: run what comes. giveBack: requeue it. refuse: answer it with `draining`. */
  #mode: 'serve' | 'giveBack' | 'refuse' = 'serve';
  /** Handlers whose message the broker took back with its connection, by `orphanKey`: a redelivery joins them. */
  readonly #orphans = new Map<string, Job>();
  readonly #prober: Prober;

  constructor(options: ConsumerOptions) {
    this.#options = options;
    const { queue, counts, log } = options;
    this.#prober = new Prober(() => {
      counts.undecodable++;
      log?.warn({ queue: queue.name }, 'a message with unreadable headers was taken off the queue');
    });
  }

  /** `setup` of the consuming link. */
  async attach(model: ChannelModel, fail: (error: Error) => void): Promise<void> {
    const { queue, prefetch, log } = this.#options;
    const channel = await model.createChannel();
    batchWrites(model, channel);
    const window = new AckWindow(channel, prefetch);
    channel.on('error', fail);
    channel.on('close', () => {
      window.close();
      fail(new Error('consuming channel closed'));
    });
    const { diesWithConsumer } = await declareQueue(model, channel, queue, this.#standIn);
    await channel.prefetch(prefetch);
    const subscription: Subscription = { model, channel, window, diesWithConsumer, consumerTag: undefined };
    this.#now = subscription;
    // A drain that began while the connection was away must not subscribe again.
    if (this.#mode !== 'serve') return;
    await this.#prober.probe(channel, queue.name, prefetch, (message, acked) => {
      if (!acked) window.skip(message.fields.deliveryTag);
      this.#accept(message, acked ? window : undefined);
    });
    const { consumerTag } = await channel.consume(queue.name, (message) => {
      if (message) this.#accept(message, window);
      else fail(new Error(`the broker cancelled the consumer: queue "${queue.name}" is gone`));
    });
    subscription.consumerTag = consumerTag;
    log?.info({ queue: queue.name, kind: queue.kind, prefetch }, 'serving queue');
  }

  /** `onDown` of the consuming link. What runs goes on: its caller still waits for the reply. */
  detach(error: Error): void {
    const { queue, dispatcher, log } = this.#options;
    const before = this.#now;
    this.#now = undefined;
    this.#prober.onDown(error);
    if (queue.kind === 'transient' && !this.#standIn && refusesTransient(error)) {
      this.#standIn = true;
      log?.warn(
        { queue: queue.name },
        'the broker refuses transient queues: a durable one stands in, and expires a minute after its last consumer',
      );
    }
    if (!before || before.diesWithConsumer) return;
    // The queue lives, so the broker delivers all of it again: what has not begun is better forgotten.
    dispatcher.takeWaiting();
    for (const job of dispatcher.runningJobs()) {
      const key = orphanKey(job);
      if (key !== undefined) this.#orphans.set(key, job);
    }
  }

  /**
   * Stops taking messages. Where the queue lives on, the consumer is cancelled and what has not begun goes back to
   * it. A queue that would die with us is emptied instead, and every caller told so.
   */
  async drain(): Promise<void> {
    const { queue, dispatcher, responder } = this.#options;
    const now = this.#now;
    const dies = now !== undefined && now.diesWithConsumer && (await isLast(now, queue.name));
    this.#mode = dies ? 'refuse' : 'giveBack';
    for (const job of dispatcher.pause(!dies))
      if (dies) responder.answer(job, draining(), 'ack');
      else this.#giveBack(job);
    if (!dies) await this.#cancel(now);
  }

  /** What is left when the grace time is over. */
  abandon(): void {
    const { dispatcher, responder } = this.#options;
    for (const job of dispatcher.abandon())
      if (this.#mode === 'giveBack') this.#giveBack(job);
      else responder.answer(job, draining(), 'ack');
  }

  /** The last verdicts go out, and the subscription ends where the drain has left it. */
  async finish(): Promise<void> {
    const now = this.#now;
    if (!now) return;
    await this.#cancel(now);
    now.window.flush();
    // amqplib lets the connection's close overtake what is queued on a channel: an answered request on the same
    // channel is the proof that the broker has read all verdicts.
    await now.channel.prefetch(1).catch(() => undefined);
  }

  async #cancel(subscription: Subscription | undefined): Promise<void> {
    const tag = subscription?.consumerTag;
    if (!subscription || tag === undefined) return;
    subscription.consumerTag = undefined;
    // It fails only with its channel, and then there is nothing left to cancel.
    await subscription.channel.cancel(tag).catch(() => undefined);
  }

  #giveBack(job: Job): void {
    this.#options.counts.requeued++;
    job.settle('requeue');
  }

  #accept(message: Delivered, window: AckWindow | undefined): void {
    const { dispatcher, responder, counts, timeoutMs, maxDeliveries, now } = this.#options;
    counts.received++;
    if (message.fields.redelivered) counts.redelivered++;
    const job = new Job(message, window, now(), timeoutMs);
    if (this.#mode === 'giveBack') return this.#giveBack(job);
    if (message.fields.redelivered && this.#joinOrphan(job)) return;
    if (job.replyTo !== undefined && !this.#mayReply(job.replyTo)) {
      this.#options.log?.warn(
        { replyTo: job.replyTo.slice(0, 255) },
        'reply_to is not allowed: message rejected',
      );
      counts.deadLettered++;
      return job.settle('reject');
    }
    if (this.#mode === 'refuse') return responder.answer(job, draining(), 'ack');
    if (deliveriesBefore(message.properties.headers) >= maxDeliveries) {
      const detail = `delivered more than ${maxDeliveries} times without an end: dead-lettered`;
      return responder.answer(job, failure('quarantined', detail), 'reject');
    }
    dispatcher.add(job);
  }

  /** A reply goes wherever the caller says, by our own permissions: so the operator may bound it. */
  #mayReply(replyTo: string): boolean {
    return isDirectReplyTo(replyTo) || this.#options.mayReplyTo(replyTo);
  }

  /** The same request is running here still, from a connection that was lost: it takes over the new delivery. */
  #joinOrphan(job: Job): boolean {
    const key = this.#orphans.size > 0 ? orphanKey(job) : undefined;
    const orphan = key === undefined ? undefined : this.#orphans.get(key);
    if (key === undefined || !orphan) return false;
    this.#orphans.delete(key);
    return orphan.adopt(job);
  }
}

/** Ids are the callers' own: where two requests share one, their bodies tell them apart. See `Job.adopt`. */
function orphanKey(job: Job): string | undefined {
  if (job.replyTo === undefined || job.correlationId === undefined) return undefined;
  return `${job.replyTo}\n${job.correlationId}`;
}

async function isLast({ model }: Subscription, queue: string): Promise<boolean> {
  try {
    return ((await consumersOf(model, queue)) ?? 0) <= 1;
  } catch {
    return true;
  }
}

const draining = (): ReturnType<typeof failure> =>
  failure('draining', 'the host is shutting down: send the request again');
