/** What the tests of the AMQP gateway share: a service on a queue of its own, a client, and the broker's view. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Channel, type ChannelModel, type ConsumeMessage, type Options } from 'amqplib';
import { RpcClient } from '../../src/client/rpc.ts';
import { QueueService } from '../../src/gateway/amqp/service.ts';
import type { QueueKind } from '../../src/gateway/amqp/topology.ts';
import type { QueueServiceOptions, ServeRequest } from '../../src/gateway/amqp/types.ts';
import type { Outcome } from '../../src/protocol/outcome.ts';
import { brokerUrl } from '../broker.ts';

export const WAIT_MS = 20_000;

export const newQueueName = (): string => `test-${randomUUID()}`;

/** An outcome with a JSON body. */
export const json = (value: unknown): Outcome => ({
  kind: 'reply',
  status: 200,
  headers: ['content-type', 'application/json'],
  body: Buffer.from(JSON.stringify(value)),
});

export const echo = ({ head, body }: ServeRequest): Promise<Outcome> =>
  Promise.resolve({ kind: 'reply', status: 200, headers: ['content-type', head.contentType], body });

export type ServingOptions = Partial<Omit<QueueServiceOptions, 'queue'>> & {
  readonly kind?: QueueKind;
  readonly queue?: string;
  readonly deadLetter?: string;
  /** Where `url` leads through a proxy that is gone when the queue is deleted: the broker itself. */
  readonly brokerUrl?: string;
};

export interface Serving {
  readonly url: string;
  readonly queue: string;
  readonly service: QueueService;
}

/** Starts a service, on a queue of its own unless one is named; stops it, and deletes the queue, with the test. */
export async function serving(t: TestContext, options: ServingOptions = {}): Promise<Serving> {
  const { kind = 'transient', queue = newQueueName(), deadLetter, ...rest } = options;
  const url = options.url ?? (await brokerUrl());
  const directUrl = options.brokerUrl ?? url;
  const service = new QueueService({ serve: echo, ...rest, url, queue: { name: queue, kind, deadLetter } });
  t.after(async () => {
    await service.stop(0);
    if (kind !== 'transient')
      await deleteQueues(directUrl, [queue, ...(deadLetter === undefined ? [] : [deadLetter])]);
  });
  await service.start();
  return { url, queue, service };
}

export async function deleteQueues(url: string, names: readonly string[]): Promise<void> {
  const model = await connect(url);
  const channel = await model.createChannel();
  for (const name of names) await channel.deleteQueue(name);
  await model.close();
}

/** An RpcClient that is closed with the test. */
export function client(t: TestContext, url: string): RpcClient {
  const rpc = new RpcClient({ url, timeoutMs: WAIT_MS });
  t.after(() => rpc.close());
  return rpc;
}

/** A bare amqplib channel, closed with the test: for properties that RpcClient would never send. */
export async function rawChannel(
  t: TestContext,
  url: string,
): Promise<{ model: ChannelModel; channel: Channel }> {
  const model = await connect(url, { noDelay: true });
  model.on('error', () => undefined);
  t.after(() => model.close().catch(() => undefined));
  const channel = await model.createChannel();
  return { model, channel };
}

/** Sends one message over direct reply-to and returns the reply as it came. */
export async function rawCall(
  t: TestContext,
  url: string,
  queue: string,
  body: Buffer,
  properties: Options.Publish = {},
): Promise<ConsumeMessage> {
  const { channel } = await rawChannel(t, url);
  const replies = await inbox(channel, 'amq.rabbitmq.reply-to');
  channel.sendToQueue(queue, body, { replyTo: 'amq.rabbitmq.reply-to', ...properties });
  return replies.next();
}

export interface Inbox {
  /** The next message; rejects when none comes. */
  next(): Promise<ConsumeMessage>;
}

/** Consumes a queue, without acknowledgements, into an inbox. */
export async function inbox(channel: Channel, queue: string): Promise<Inbox> {
  const messages: ConsumeMessage[] = [];
  const arrived = new EventTarget();
  await channel.consume(
    queue,
    (message) => {
      if (message) messages.push(message);
      arrived.dispatchEvent(new Event('message'));
    },
    { noAck: true },
  );
  return {
    next: async () => {
      while (messages.length === 0) await once(arrived, 'message', { signal: AbortSignal.timeout(WAIT_MS) });
      const message = messages.shift();
      if (!message) throw new Error('no message');
      return message;
    },
  };
}

/** Waits until `check` holds; what it waits for is named when it never does. */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + WAIT_MS; !(await check()); await sleep(5))
    if (Date.now() > endMs) throw new Error(`waited ${WAIT_MS} ms in vain until ${what}`);
}

/** Messages that wait in a queue, ready; the broker's own count. */
export async function ready(url: string, queue: string): Promise<number> {
  const model = await connect(url);
  try {
    return (await (await model.createChannel()).checkQueue(queue)).messageCount;
  } finally {
    await model.close();
  }
}
