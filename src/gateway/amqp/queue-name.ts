/**
 * The queue of a hosted lambda carries its account's id as prefix, so that no tenant can name another's:
 * `jobs` of account 1b4e... is the queue `1b4e....jobs`. A name that already has the prefix stays as it is.
 */
export function hostedQueueName(accountId: string, wanted: string): string {
  return wanted.startsWith(`${accountId}.`) ? wanted : `${accountId}.${wanted}`;
}

/**
 * Where a hosted lambda's replies may go: the requester's own direct reply-to, a queue that the broker named
 * (nobody can guess one), or a queue of the lambda's account. Anything else would let the sender of a request
 * make the host write into a queue that the sender may not write to.
 */
export function mayReplyTo(accountId: string): (queue: string) => boolean {
  return (queue) => queue.startsWith('amq.gen-') || queue.startsWith(`${accountId}.`);
}
