/** Queues on the wire: which may be asked for, and which an operator may allow an account. */
import { IsolambdaError } from '../errors/error.ts';
import { namesAnothersQueue } from '../registry/queue-name.ts';
import type { Registry } from '../registry/types.ts';
import type { LambdaParameters, LambdaPatch } from '../schemas/index.ts';

/** What RabbitMQ takes; a longer name is answered by the closing of the connection. */
const MAX_BYTES = 255;
/** Of a name that may get the account's prefix, which takes 37. */
const MAX_WANTED_BYTES = 218;

interface Asker {
  readonly registry: Pick<Registry, 'quota'>;
  readonly accountId: string;
  /** False where the host has no broker. */
  readonly servesQueues?: boolean | undefined;
}

/** Throws `bad_request` where a queue is asked for that would never be served, or that is not the account's. */
export function checkAmqp(
  amqp: (LambdaParameters & LambdaPatch)['amqp'],
  { registry, accountId, servesQueues = true }: Asker,
): void {
  if (amqp === undefined || amqp === null || amqp === false) return;
  if (!servesQueues)
    throw new IsolambdaError(
      'bad_request',
      'parameters.amqp: this host serves no queues, because its option amqp.url is empty; leave amqp out, or ask the operator to set it',
    );
  if (amqp === true) return;
  const owner = { accountId, allowedQueues: registry.quota(accountId).queues };
  for (const key of ['queue', 'dead_letter'] as const) {
    const name = amqp[key];
    if (name === undefined) continue;
    const where = `parameters.amqp.${key}`;
    const problem = nameProblem(name, MAX_WANTED_BYTES);
    if (problem !== undefined) throw new IsolambdaError('bad_request', `${where} ${problem}`);
    if (namesAnothersQueue(owner, name))
      throw new IsolambdaError(
        'bad_request',
        `${where}: ${JSON.stringify(name)} is no queue of this account: name it without the prefix (the account's own is put before it), or ask the operator to allow it (queues in the account's quota)`,
      );
  }
}

/** Throws `bad_request` with each name that cannot stand on an account's list. */
export function checkAllowedQueues(names: readonly string[]): void {
  const problems = names.flatMap((name) => {
    const problem = nameProblem(name, MAX_BYTES) ?? listedProblem(name);
    return problem === undefined ? [] : [`queues: ${JSON.stringify(name)} ${problem}`];
  });
  if (problems.length > 0) throw new IsolambdaError('bad_request', problems.join('; '), { problems });
}

function nameProblem(name: string, maxBytes: number): string | undefined {
  const bytes = Buffer.byteLength(name);
  if (bytes > maxBytes) return `has ${bytes} bytes: ${maxBytes} is the most`;
  return /\p{Cc}/u.test(name) ? 'holds a control character' : undefined;
}

function listedProblem(name: string): string | undefined {
  if (name.startsWith('amq.')) return "begins with amq., which is the broker's own";
  // A pattern would allow queues that nobody has thought of, another account's among them.
  return /[*#]/.test(name) ? 'holds a wildcard: list each queue by its whole name' : undefined;
}
