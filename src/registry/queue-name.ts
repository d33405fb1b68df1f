import type { LambdaEntry } from './types.ts';

/**
 * The queue of a hosted lambda carries its account's id as prefix, so that no tenant can name another's:
 * `jobs` of account 1b4e... is the queue `1b4e....jobs`. A name that already has the prefix stays as it is.
 */
export function hostedQueueName(accountId: string, wanted: string): string {
  return wanted.startsWith(`${accountId}.`) ? wanted : `${accountId}.${wanted}`;
}

/** The queue that a lambda is served from: of its parameters, else its module's QUEUE_NAME, else its name. */
export function effectiveQueue({
  accountId,
  amqp,
  queueName,
  name,
}: Pick<LambdaEntry, 'accountId' | 'amqp' | 'queueName' | 'name'>): string | undefined {
  return amqp === null ? undefined : hostedQueueName(accountId, amqp.queue ?? queueName ?? name);
}
