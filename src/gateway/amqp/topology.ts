import type { Channel, ChannelModel, Options } from 'amqplib';
import { IsolambdaError } from '../../errors/error.ts';
import { toError } from '../../amqp/connection.ts';

/**
 * transient: as the first AMQP runtime declared it: not durable, not exclusive, gone with its last consumer.
 * durable: a classic queue that stays. quorum: a replicated one, which counts deliveries. passive: must exist already.
 */
export type QueueKind = 'transient' | 'durable' | 'quorum' | 'passive';

export interface QueueSpec {
  readonly name: string;
  readonly kind: QueueKind;
  /** Queue that takes rejected messages; made durable where it does not exist. */
  readonly deadLetter?: string | undefined;
}

export interface DeclaredQueue {
  /** It may vanish when its last consumer leaves, and its messages with it. */
  readonly diesWithConsumer: boolean;
  /** The broker refused a transient queue; this one is durable and expires. */
  readonly replaced: boolean;
}

/** How long the durable stand-in for a transient queue outlives its last consumer, in milliseconds (`x-expires`). */
export const STAND_IN_EXPIRES_MS = 60_000;

/** RabbitMQ allows 255 bytes, and keeps names that begin with `amq.` for itself. */
const MAX_NAME_BYTES = 255;

export function checkQueueName(name: string): void {
  const wrong =
    name === ''
      ? 'is empty'
      : Buffer.byteLength(name) > MAX_NAME_BYTES
        ? `is longer than ${MAX_NAME_BYTES} bytes`
        : name.startsWith('amq.')
          ? "begins with amq., which is the broker's own"
          : /\p{Cc}/u.test(name)
            ? 'holds control characters'
            : undefined;
  if (wrong !== undefined)
    throw new IsolambdaError(
      'configuration',
      `queue name ${JSON.stringify(name.slice(0, 300))} ${wrong}: choose another`,
    );
}

/** The arguments of `queue.declare`; undefined for a passive queue, which is only looked for. */
export function queueOptions(spec: QueueSpec, standIn: boolean): Options.AssertQueue | undefined {
  const deadLetter =
    spec.deadLetter === undefined ? {} : { deadLetterExchange: '', deadLetterRoutingKey: spec.deadLetter };
  switch (spec.kind) {
    case 'transient':
      return standIn
        ? { durable: true, autoDelete: false, exclusive: false, expires: STAND_IN_EXPIRES_MS, ...deadLetter }
        : { durable: false, autoDelete: true, exclusive: false, ...deadLetter };
    case 'durable':
      return { durable: true, autoDelete: false, ...deadLetter };
    case 'quorum':
      return { durable: true, autoDelete: false, arguments: { 'x-queue-type': 'quorum' }, ...deadLetter };
    case 'passive':
      return undefined;
  }
}

/** Declares the queue, and its dead-letter queue. Throws IsolambdaError where trying again would not help. */
export async function declareQueue(
  model: ChannelModel,
  channel: Channel,
  spec: QueueSpec,
  standIn: boolean,
): Promise<DeclaredQueue> {
  if (spec.deadLetter !== undefined) await ensureQueue(model, spec.deadLetter);
  const options = queueOptions(spec, standIn);
  try {
    if (options) await channel.assertQueue(spec.name, options);
    else await channel.checkQueue(spec.name);
  } catch (error) {
    throw explain(toError(error), spec);
  }
  return { diesWithConsumer: options?.autoDelete === true, replaced: standIn };
}

/** A declaration that fails takes its channel along, so each look gets a channel of its own. */
async function ensureQueue(model: ChannelModel, name: string): Promise<void> {
  if (await queueExists(model, name)) return;
  await onOwnChannel(model, (channel) => channel.assertQueue(name, { durable: true }));
}

async function queueExists(model: ChannelModel, name: string): Promise<boolean> {
  return (await consumersOf(model, name)) !== undefined;
}

/** How many consumers the queue has, ours among them; undefined when there is no such queue. */
export async function consumersOf(model: ChannelModel, name: string): Promise<number | undefined> {
  try {
    return (await onOwnChannel(model, (channel) => channel.checkQueue(name))).consumerCount;
  } catch (error) {
    if (codeOf(error) === 404) return undefined;
    throw error;
  }
}

export async function onOwnChannel<T>(
  model: ChannelModel,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  const channel = await model.createChannel();
  // A refusal also rejects the promise that waits for it.
  channel.on('error', () => undefined);
  const result = await work(channel);
  await channel.close();
  return result;
}

/**
 * RabbitMQ 4.3 refuses queues that are neither durable nor exclusive, by closing the connection with 541 and the
 * name of the deprecated feature.
 */
export function refusesTransient(error: Error): boolean {
  return codeOf(error) === 541 && error.message.includes('transient_nonexcl_queues');
}

export function codeOf(error: unknown): number | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined;
}

function explain(error: Error, spec: QueueSpec): Error {
  const mend: Record<number, string> = {
    403: 'give the user permission on it, or name another queue',
    404: 'declare it first, or leave --passive out',
    405: 'another connection has it for itself: name another queue',
    406: 'it exists with other properties: serve it as it is with --passive, or delete it',
  };
  const code = codeOf(error);
  const how = code === undefined ? undefined : mend[code];
  if (how === undefined) return error;
  return new IsolambdaError('configuration', `queue "${spec.name}": ${error.message}; ${how}`, {
    cause: error,
  });
}
