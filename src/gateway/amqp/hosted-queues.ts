import type { Invoke } from '../../invoke/types.ts';
import { deadLetterQueue, effectiveQueue } from '../../registry/queue-name.ts';
import type { LambdaEntry, Registry } from '../../registry/types.ts';
import type { Logger } from '../../telemetry/log.ts';
import { newCounts } from './counts.ts';
import { mayReplyTo } from './queue-name.ts';
import { QueueService } from './service.ts';
import type { Tracer } from '../../telemetry/trace-context.ts';
import type { QueueServiceOptions, QueueServiceStats } from './types.ts';

export interface HostedQueuesOptions {
  readonly url: string;
  readonly registry: Registry;
  readonly invoke: Invoke;
  readonly tracer?: Tracer | undefined;
  readonly log: Logger;
}

/** Serves every lambda that has `parameters.amqp` from its queue, and follows what is deployed, changed, switched and deleted. */
export interface HostedQueues {
  start(): void;
  /** Takes nothing more; what runs is replied within the grace time. Idempotent. */
  stop(graceMs: number): Promise<void>;
  /** Of all queues; counts hold those of queues that are not served any more. */
  stats(): QueueServiceStats & { readonly queues: number };
}

/** One lambda's queue, and the options that it is served with. */
interface Served {
  readonly options: string;
  readonly service: QueueService;
}

const RETRY_MS = 5_000;

export function createHostedQueues({
  url,
  registry,
  invoke,
  tracer,
  log,
}: HostedQueuesOptions): HostedQueues {
  const served = new Map<string, Served>();
  // Changes of one lambda are carried out one after another; each looks at what is wanted when its turn comes.
  const turns = new Map<string, Promise<void>>();
  const retries = new Set<NodeJS.Timeout>();
  let stopping = false;
  /** Services that have stopped: their counts must not be lost with them. */
  let past = NO_STATS;
  const ended = (service: QueueService): void => void (past = addStats(past, service.stats()));

  function reconcile(lambdaId: string): Promise<void> {
    const turn = (turns.get(lambdaId) ?? Promise.resolve())
      .then(() => change(lambdaId))
      .catch((error: unknown) => log.error({ err: error, lambda: lambdaId }, 'queue of a lambda'));
    turns.set(lambdaId, turn);
    void turn.finally(() => turns.get(lambdaId) === turn && turns.delete(lambdaId));
    return turn;
  }

  async function change(lambdaId: string): Promise<void> {
    const lambda = registry.lambda(lambdaId);
    const wanted = lambda && !stopping ? wantedOptions(lambda) : undefined;
    const key = wanted && JSON.stringify(wanted);
    const current = served.get(lambdaId);
    if (current?.options === key && current?.service.state === 'serving') return;
    if (current) {
      served.delete(lambdaId);
      await current.service.stop(lambda?.active?.limits.timeout_ms ?? 0);
      ended(current.service);
    }
    if (!wanted || !key || !lambda) return;
    const service = new QueueService({
      ...wanted,
      url,
      serve: ({ head, body, signal }) =>
        invoke({
          source: 'amqp',
          lambda: registry.lambda(lambdaId) ?? lambda,
          head: { ...head, accountId: lambda.accountId },
          body,
          signal,
        }),
      tracer,
      mayReplyTo: mayReplyTo(lambda),
      name: `isolambda ${lambdaId}`,
      log,
      onFailed: () => retry(lambdaId),
    });
    served.set(lambdaId, { options: key, service });
    await service.start().catch((error: unknown) => {
      log.warn(
        { err: error, lambda: lambdaId, queue: wanted.queue.name },
        `the queue is not served; next attempt in ${RETRY_MS} ms`,
      );
      retry(lambdaId);
    });
  }

  function retry(lambdaId: string): void {
    if (stopping) return;
    const timer = setTimeout(() => {
      retries.delete(timer);
      void reconcile(lambdaId);
    }, RETRY_MS);
    retries.add(timer);
  }

  let unsubscribe: (() => void)[] = [];
  return {
    stats: () => ({
      ...[...served.values()].reduce((sum, { service }) => addStats(sum, service.stats()), past),
      queues: [...served.values()].filter(({ service }) => service.state === 'serving').length,
    }),
    start() {
      unsubscribe = [
        registry.on('lambdaChanged', ({ lambda }) => void reconcile(lambda.id)),
        registry.on('lambdaDeleted', ({ lambda }) => void reconcile(lambda.id)),
        registry.on('limitsChanged', ({ accountId }) => {
          for (const lambda of registry.allLambdas())
            if (lambda.accountId === accountId) void reconcile(lambda.id);
        }),
      ];
      for (const lambda of registry.allLambdas()) if (lambda.amqp) void reconcile(lambda.id);
    },
    async stop(graceMs) {
      stopping = true;
      for (const leave of unsubscribe.splice(0)) leave();
      for (const timer of retries) clearTimeout(timer);
      await Promise.all(turns.values());
      const services = [...served.values()].map(({ service }) => service.stop(graceMs));
      served.clear();
      await Promise.all(services);
    },
  };
}

const NO_STATS: QueueServiceStats = { ...newCounts(), waiting: 0, running: 0, unconfirmed: 0, reconnects: 0 };

const addStats = (one: QueueServiceStats, other: QueueServiceStats): QueueServiceStats => ({
  received: one.received + other.received,
  redelivered: one.redelivered + other.redelivered,
  replied: one.replied + other.replied,
  unanswered: one.unanswered + other.unanswered,
  failed: one.failed + other.failed,
  deadLettered: one.deadLettered + other.deadLettered,
  requeued: one.requeued + other.requeued,
  undeliverable: one.undeliverable + other.undeliverable,
  undecodable: one.undecodable + other.undecodable,
  waiting: one.waiting + other.waiting,
  running: one.running + other.running,
  unconfirmed: one.unconfirmed + other.unconfirmed,
  reconnects: one.reconnects + other.reconnects,
});

type WantedOptions = Pick<
  QueueServiceOptions,
  'queue' | 'concurrency' | 'prefetch' | 'timeoutMs' | 'requestBytes' | 'headerBytes' | 'replyBytes'
>;

/** How the lambda's queue should be served now; undefined where it should not be. */
function wantedOptions(lambda: LambdaEntry): WantedOptions | undefined {
  const { amqp, alive, active } = lambda;
  const name = effectiveQueue(lambda);
  if (!amqp || name === undefined || !alive || !active) return undefined;
  const { limits } = active;
  return {
    queue: {
      name,
      kind: amqp.passive ? 'passive' : amqp.quorum ? 'quorum' : amqp.durable ? 'durable' : 'transient',
      deadLetter: deadLetterQueue(lambda),
    },
    concurrency: Math.min(
      amqp.concurrency ?? limits.concurrency,
      limits.concurrency,
      limits.account_concurrency,
    ),
    prefetch: amqp.prefetch,
    timeoutMs: limits.timeout_ms,
    requestBytes: limits.request_bytes,
    headerBytes: limits.header_bytes,
    replyBytes: limits.reply_bytes,
  };
}
