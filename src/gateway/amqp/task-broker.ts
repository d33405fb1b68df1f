import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { BrokerLink, toError, type LinkOptions } from '../../amqp/connection.ts';
import { parseBrokerUrl, type BrokerUrl } from '../../amqp/url.ts';
import type { SubtaskBroker, SubtaskKey, SubtaskWork } from '../../tasks/types.ts';
import type { Logger } from '../../telemetry/log.ts';
import { Publisher } from './publisher.ts';
import { onOwnChannel } from './topology.ts';

export interface TaskBrokerOptions {
  readonly url: string;
  readonly log: Logger;
  readonly now: () => number;
}

/** Queues of accounts that had no work for so long go, with what was left in them. */
const QUEUE_EXPIRES_MS = 1_800_000;
const LOOK_MS = 1_000;
/** A host that splits a task offers its subtasks itself; what nobody has offered by then was lost with that host. */
const OFFER_MS = 5_000;
/** What waits for longer than this while its queue is empty was lost by the broker. */
const LOST_MS = 15_000;
const REPAIRED_AT_ONCE = 500;
/** After the link gave up; milliseconds. */
const RELINK_MS = 5_000;
/** After the store could not be asked about a message. */
const REQUEUE_MS = 1_000;
/** An account whose work has ended keeps its consumer for a while: the next task often comes soon. */
const LINGER_MS = 30_000;

interface Subscription {
  readonly channel: Channel;
  readonly places: number;
  consumerTag: string | undefined;
  lastWorkMs: number;
}

/** The queue of an account's subtasks. Its own, so that no account waits behind another's thousands. */
export const subtaskQueue = (accountId: string): string => `isolambda.tasks.${accountId}`;

/**
 * Subtasks over RabbitMQ: a durable quorum queue for each account with work, from which every host takes as many as the
 * account may execute on it. A message only names its subtask. The store says whether that still waits, so one that comes
 * twice, late or from a stranger does no harm; and what the broker loses, the store still has: it is offered again.
 */
export class TaskBroker implements SubtaskBroker {
  readonly #options: TaskBrokerOptions;
  readonly #url: BrokerUrl;
  readonly #publisher = new Publisher({ onRelief: () => undefined });
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #links = new Set<BrokerLink>();
  #work: SubtaskWork | undefined;
  #consuming: ChannelModel | undefined;
  #publishing: ChannelModel | undefined;
  #declared = new Map<string, Promise<unknown>>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #draining = false;

  /** Throws IsolambdaError `configuration` where the URL is none. */
  constructor(options: TaskBrokerOptions) {
    this.#options = options;
    this.#url = parseBrokerUrl(options.url);
  }

  start(work: SubtaskWork): void {
    this.#work = work;
    void this.#keepUp({
      name: 'isolambda tasks publish',
      setup: async (model, fail) => {
        this.#declared = new Map();
        this.#publishing = model;
        await this.#publisher.attach(model, fail);
      },
      onDown: (error) => {
        this.#publishing = undefined;
        this.#publisher.detach(error);
      },
    });
    void this.#keepUp({
      name: 'isolambda tasks consume',
      setup: async (model) => {
        this.#consuming = model;
      },
      onDown: () => {
        this.#consuming = undefined;
        this.#subscriptions.clear();
      },
    });
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  offer(keys: readonly SubtaskKey[]): void {
    void this.#publish(keys);
  }

  async drain(): Promise<void> {
    this.#draining = true;
    clearInterval(this.#timer);
    await Promise.all([...this.#subscriptions].map(([accountId, one]) => this.#leave(accountId, one)));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links].map((link) => link.close()));
  }

  /** One link after another, for as long as the host runs. */
  async #keepUp(options: Pick<LinkOptions, 'name' | 'setup' | 'onDown'>): Promise<void> {
    const { log } = this.#options;
    while (!this.#draining) {
      const failed = Promise.withResolvers<void>();
      const link = new BrokerLink({
        ...options,
        url: this.#url,
        log,
        onFailed: () => failed.resolve(),
      });
      this.#links.add(link);
      try {
        await link.start();
        await failed.promise;
      } catch (error) {
        log.error({ err: error, link: options.name }, 'the broker of tasks can not be reached');
      }
      this.#links.delete(link);
      if (!this.#draining) await new Promise((resolve) => setTimeout(resolve, RELINK_MS).unref());
    }
  }

  /** Follows which accounts have work, and offers again what was lost. */
  async #look(): Promise<void> {
    const work = this.#work;
    if (this.#looking || work === undefined) return;
    this.#looking = true;
    try {
      const nowMs = this.#options.now();
      for (const accountId of await work.accountsWithWork()) await this.#subscribe(accountId, work, nowMs);
      for (const [accountId, subscription] of this.#subscriptions)
        if (nowMs - subscription.lastWorkMs > LINGER_MS) await this.#leave(accountId, subscription);
      if (this.#publishing !== undefined && this.#publisher.unconfirmed === 0)
        await this.#repair(work, nowMs);
    } catch (error) {
      this.#options.log.error({ err: error }, 'queues of tasks');
    } finally {
      this.#looking = false;
    }
  }

  async #subscribe(accountId: string, work: SubtaskWork, nowMs: number): Promise<void> {
    const model = this.#consuming;
    const known = this.#subscriptions.get(accountId);
    const places = work.parallelism(accountId);
    if (known !== undefined) {
      known.lastWorkMs = nowMs;
      if (known.places === places) return;
      await this.#leave(accountId, known);
    }
    if (model === undefined || this.#draining) return;
    const channel = await model.createChannel();
    const forget = (): void => {
      if (this.#subscriptions.get(accountId)?.channel === channel) this.#subscriptions.delete(accountId);
    };
    channel.on('error', (error) => {
      this.#options.log.warn(
        { err: toError(error), account_id: accountId },
        'the queue of an account’s subtasks',
      );
      forget();
    });
    channel.on('close', forget);
    const queue = subtaskQueue(accountId);
    await declare(channel, queue);
    // What is taken and not yet executed is bounded by what may be executed at once.
    await channel.prefetch(places);
    const subscription: Subscription = { channel, places, consumerTag: undefined, lastWorkMs: nowMs };
    this.#subscriptions.set(accountId, subscription);
    const { consumerTag } = await channel.consume(queue, (message) => {
      // Without a message the broker says that the queue is gone: it is declared anew when there is work.
      if (message === null) void channel.close().catch(() => undefined);
      else void this.#receive(channel, accountId, message, work);
    });
    subscription.consumerTag = consumerTag;
  }

  /** What it has taken goes on; the channel is closed with the last of it. */
  async #leave(accountId: string, { channel, consumerTag }: Subscription): Promise<void> {
    this.#subscriptions.delete(accountId);
    if (consumerTag !== undefined) await channel.cancel(consumerTag).catch(() => undefined);
  }

  /** Acknowledged when what became of it is stored, or when there is nothing to execute. */
  async #receive(
    channel: Channel,
    accountId: string,
    message: ConsumeMessage,
    work: SubtaskWork,
  ): Promise<void> {
    const key = keyOf(accountId, message.content);
    try {
      if (key === undefined)
        this.#options.log.warn(
          { account_id: accountId },
          'a message among subtasks names none: it is dropped',
        );
      else await work.execute(key);
      settle(() => channel.ack(message));
    } catch (error) {
      this.#options.log.error(
        { err: error, account_id: accountId },
        'the store could not be asked about a subtask',
      );
      setTimeout(() => settle(() => channel.nack(message, false, true)), REQUEUE_MS).unref();
    }
  }

  /** Resolves once the broker has confirmed, or refused, each; without a link they are left to the repair. */
  async #publish(keys: readonly SubtaskKey[]): Promise<void> {
    const byAccount = Map.groupBy(keys, ({ accountId }) => accountId);
    for (const [accountId, some] of byAccount) {
      const queue = subtaskQueue(accountId);
      try {
        if (!(await this.#ensure(queue))) continue;
        const confirmed = await Promise.all(some.map((key) => this.#send(queue, key)));
        await this.#work?.markQueued(some.filter((_, at) => confirmed[at]));
      } catch (error) {
        this.#options.log.warn(
          { err: error, account_id: accountId },
          'subtasks were not offered: they are, later',
        );
      }
    }
  }

  #send(queue: string, { taskId, subtaskId, lambdaId }: SubtaskKey): Promise<boolean> {
    return new Promise((resolve) => {
      this.#publisher.send({
        replyTo: queue,
        body: Buffer.from(JSON.stringify({ task: taskId, subtask: subtaskId, lambda: lambdaId })),
        options: { persistent: true, contentType: 'application/json' },
        done: (refused) => resolve(refused === undefined),
      });
    });
  }

  /** A message to a queue that is not there would be confirmed, and gone. False without a link. */
  async #ensure(queue: string): Promise<boolean> {
    const model = this.#publishing;
    if (model === undefined) return false;
    let declared = this.#declared.get(queue);
    if (declared === undefined) {
      declared = onOwnChannel(model, (channel) => declare(channel, queue));
      this.#declared.set(queue, declared);
    }
    await declared;
    return true;
  }

  async #repair(work: SubtaskWork, nowMs: number): Promise<void> {
    await this.#publish(await work.unoffered(nowMs - OFFER_MS, REPAIRED_AT_ONCE));
    const stale = await work.unqueued(nowMs - LOST_MS, REPAIRED_AT_ONCE);
    const model = this.#publishing;
    if (model === undefined) return;
    for (const [accountId, some] of Map.groupBy(stale, (key) => key.accountId)) {
      // It may have expired since it was declared.
      this.#declared.delete(subtaskQueue(accountId));
      const { messageCount } = await onOwnChannel(model, (channel) =>
        declare(channel, subtaskQueue(accountId)),
      );
      if (messageCount === 0) await this.#publish(some);
    }
  }
}

const declare = (channel: Channel, queue: string) =>
  channel.assertQueue(queue, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-expires': QUEUE_EXPIRES_MS },
  });

/** The channel may be gone: the broker gives the message to somebody then, and the store says that it is done. */
function settle(tell: () => void): void {
  try {
    tell();
  } catch {
    // Its channel was closed.
  }
}

/** Who may write to the broker may write anything. */
function keyOf(accountId: string, content: Buffer): SubtaskKey | undefined {
  try {
    const { task, subtask, lambda } = JSON.parse(content.toString()) as Record<string, unknown>;
    if (!Number.isSafeInteger(task) || !Number.isSafeInteger(subtask) || typeof lambda !== 'string')
      return undefined;
    return { accountId, taskId: task as number, subtaskId: subtask as number, lambdaId: lambda };
  } catch {
    return undefined;
  }
}
