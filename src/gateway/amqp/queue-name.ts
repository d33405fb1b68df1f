import { ownsQueue } from '../../registry/queue-name.ts';
import type { LambdaEntry } from '../../registry/types.ts';

/** Where a requester's channel is answered itself, without a queue. RabbitMQ's `amq.rabbitmq.reply-to`. */
export const isDirectReplyTo = (queue: string): boolean => queue.startsWith('amq.rabbitmq.reply-to.');

/**
 * Where a hosted lambda's replies may go: the requester's own direct reply-to, a queue that the broker named
 * (nobody can guess one), or a queue of the lambda's account. Anything else would let the sender of a request
 * make the host write into a queue that the sender may not write to.
 */
export function mayReplyTo(
  lambda: Pick<LambdaEntry, 'accountId' | 'allowedQueues'>,
): (queue: string) => boolean {
  return (queue) => queue.startsWith('amq.gen-') || ownsQueue(lambda, queue);
}
