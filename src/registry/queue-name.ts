import type { LambdaEntry } from './types.ts';

type Owner = Pick<LambdaEntry, 'accountId' | 'allowedQueues'>;

/** How the queue of an account begins: its id, which is a UUID, and a dot. */
const ACCOUNT_PREFIX = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\./i;

/** Whether the account may be served from this queue, and have replies and dead letters put there: the whole name counts. */
export function ownsQueue({ accountId, allowedQueues }: Owner, queue: string): boolean {
  return queue.startsWith(`${accountId}.`) || allowedQueues.includes(queue);
}

/**
 * The queue of a hosted lambda carries its account's id as prefix, so that no tenant can name another's: `jobs` of
 * account 1b4e... is the queue `1b4e....jobs`. A name that has the prefix, or that the operator allowed the account, stays as it is.
 */
export function hostedQueueName(owner: Owner, wanted: string): string {
  return ownsQueue(owner, wanted) ? wanted : `${owner.accountId}.${wanted}`;
}

/** Names another account's queue: to put a prefix before that, too, would only hide the mistake. */
export function namesAnothersQueue(owner: Owner, wanted: string): boolean {
  return ACCOUNT_PREFIX.test(wanted) && !ownsQueue(owner, wanted);
}

/** The queue that a lambda is served from: of its parameters, else its module's QUEUE_NAME, else its name. */
export function effectiveQueue(
  lambda: Owner & Pick<LambdaEntry, 'amqp' | 'queueName' | 'name'>,
): string | undefined {
  const { amqp, queueName, name } = lambda;
  return amqp === null ? undefined : hostedQueueName(lambda, amqp.queue ?? queueName ?? name);
}

/** Where the messages of a lambda go that cannot be served. */
export function deadLetterQueue(lambda: Owner & Pick<LambdaEntry, 'amqp'>): string | undefined {
  const wanted = lambda.amqp?.deadLetter;
  return wanted === undefined ? undefined : hostedQueueName(lambda, wanted);
}
