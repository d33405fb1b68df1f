/** What `/metrics` says of the state of the host's parts: read when the metrics are, so that it costs nothing in between. */
import type { FastifyInstance } from 'fastify';
import type { Admission } from './admission/admission.ts';
import type { Deployer } from './deploy/types.ts';
import type { HostedQueues } from './gateway/amqp/hosted-queues.ts';
import { DrainingServer } from './gateway/http/draining-server.ts';
import type { Pool, RunnerStatus } from './pool/types.ts';
import type { Registry } from './registry/types.ts';
import type { LogStore } from './services/log/log-store.ts';
import type { Metrics } from './telemetry/metrics.ts';

export interface ObservedParts {
  readonly admission: Admission;
  readonly pool: Pool;
  readonly deployer: Deployer;
  readonly queues: HostedQueues | undefined;
  readonly registry: Registry;
  readonly logs: LogStore;
  readonly app: FastifyInstance;
}

export function observeParts(
  metrics: Metrics,
  { admission, pool, deployer, queues, registry, logs, app }: ObservedParts,
): void {
  const runners = (counts: (runner: RunnerStatus) => number) => (): number =>
    pool.runners().reduce((sum, runner) => sum + counts(runner), 0);
  const { gauge } = metrics;
  gauge(
    'isolambda_invocations_in_flight',
    'Invocations that have a place.',
    () => admission.total().inFlight,
  );
  gauge(
    'isolambda_invocations_waiting',
    'Invocations that wait for a place.',
    () => admission.total().queued,
  );
  gauge(
    'isolambda_runners',
    'Runner processes, spares among them.',
    runners(() => 1),
  );
  gauge(
    'isolambda_spare_runners',
    'Runners that wait for an account.',
    runners(({ accountId }) => (accountId === undefined ? 1 : 0)),
  );
  gauge(
    'isolambda_runners_resident_bytes',
    'Resident memory of all runners.',
    runners(({ residentBytes }) => residentBytes),
  );
  gauge(
    'isolambda_isolates',
    'Isolates in all runners.',
    runners(({ isolates }) => isolates),
  );
  gauge('isolambda_jailed', '1 where runners stand behind a process jail, else 0.', () =>
    pool.jail.kind === 'none' ? 0 : 1,
  );
  gauge('isolambda_builds_waiting', 'Uploads whose build has not begun.', () => deployer.waitingBuilds);
  gauge('isolambda_accounts', 'Accounts.', () => registry.accounts({ page: 1, pageSize: 1 }).total);
  gauge('isolambda_lambdas', 'Lambdas of all accounts.', () => registry.lambdaCount());
  gauge('isolambda_log_followers', 'Readers that follow a log.', () => logs.followers);
  gauge('isolambda_http_connections', 'Open connections of clients.', () =>
    app.server instanceof DrainingServer ? app.server.openConnections : 0,
  );
  if (queues) observeQueues(metrics, queues);
}

function observeQueues({ gauge, counter }: Metrics, queues: HostedQueues): void {
  const read = (name: keyof ReturnType<HostedQueues['stats']>) => (): number => queues.stats()[name];
  gauge('isolambda_amqp_queues', 'Queues that are served.', read('queues'));
  gauge('isolambda_amqp_messages_waiting', 'Messages in hand that wait for a handler.', read('waiting'));
  gauge('isolambda_amqp_messages_running', 'Messages whose handler runs.', read('running'));
  gauge(
    'isolambda_amqp_replies_unconfirmed',
    'Replies that the broker is not known to have.',
    read('unconfirmed'),
  );
  const count = (name: string, help: string, key: Parameters<typeof read>[0]): void =>
    counter(`isolambda_amqp_${name}_total`, help, read(key));
  count('messages_received', 'Messages that the broker delivered.', 'received');
  count('messages_redelivered', 'Of those, delivered before.', 'redelivered');
  count('messages_failed', 'Messages whose handler failed.', 'failed');
  count('messages_dead_lettered', 'Messages that were given to the dead-letter exchange.', 'deadLettered');
  count('messages_requeued', 'Messages that were given back to their queue.', 'requeued');
  count('messages_undecodable', 'Messages whose headers could not be read.', 'undecodable');
  count('messages_unanswered', 'Messages that ran and asked for no reply.', 'unanswered');
  count('replies', 'Replies that the broker has confirmed.', 'replied');
  count(
    'replies_undeliverable',
    'Replies that the broker refused, or that could not be encoded.',
    'undeliverable',
  );
  count('reconnects', 'Connections to the broker that were made anew.', 'reconnects');
}
