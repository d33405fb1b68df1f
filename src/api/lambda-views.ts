/** What the API shows of a lambda. */
import { effectiveQueue } from '../registry/queue-name.ts';
import type { LambdaStatus } from '../deploy/types.ts';
import type {
  AmqpParameters,
  BuildInfo,
  DeployParameters,
  LambdaEntry,
  QuotaView,
  VersionInfo,
} from '../registry/types.ts';
import type { Build, Lambda, LambdaSummary, Status, Version } from '../schemas/index.ts';
import { lambdaLimitViews } from './limit-views.ts';
import { present } from './present.ts';
import { timestamp } from './time.ts';

export const summaryView = (lambda: LambdaEntry): LambdaSummary => ({
  lambda_id: lambda.id,
  account_id: lambda.accountId,
  name: lambda.name,
  description: lambda.description,
  lambda_type: lambda.type,
  handler: lambda.handler,
  shared: lambda.shared,
  alive: lambda.alive,
  routes_auth: lambda.routesAuth,
  debug_errors: lambda.deployParameters.debugErrors,
  amqp: lambda.amqp === null ? null : amqpView(lambda.amqp),
  effective_queue: effectiveQueue(lambda) ?? null,
  status: lambda.state,
  version: lambda.version,
  latest_version: lambda.latestVersion,
  created_at: timestamp(lambda.createdAt),
  updated_at: timestamp(lambda.updatedAt),
});

export interface LambdaViewSources {
  readonly quota: QuotaView;
  readonly status: LambdaStatus;
  /** Whether the asker may see the values of the environment, which often are secrets. */
  readonly withEnv: boolean;
}

export const lambdaView = (lambda: LambdaEntry, { quota, status, withEnv }: LambdaViewSources): Lambda => ({
  ...summaryView(lambda),
  status_detail: textOrNull(lambda.stateDetail),
  user_config: lambda.userConfig,
  deploy_parameters: deployView(lambda.deployParameters, withEnv),
  limits: lambdaLimitViews(lambda, quota, status.instances),
});

const MASK = '[masked]';

const deployView = (
  { instances, env, egress, limits }: DeployParameters,
  withEnv: boolean,
): Lambda['deploy_parameters'] => ({
  instances,
  env: withEnv ? { ...env } : Object.fromEntries(Object.keys(env).map((key) => [key, MASK])),
  ...present({ egress: egress && [...egress] }),
  ...present(limits),
});

const amqpView = ({ deadLetter, ...same }: AmqpParameters) => present({ ...same, dead_letter: deadLetter });

export const statusView = (status: LambdaStatus): Status => ({
  lambda_id: status.lambdaId,
  status: status.state,
  detail: textOrNull(status.stateDetail),
  version: status.version,
  update: status.update === null ? null : { version: status.update.version, status: status.update.state },
  // The process id of a runner is the operator's business, not a tenant's.
  instances: status.instances.map(({ state, heapBytes, cpuMs, requests, inFlight }) => ({
    state,
    heap_bytes: heapBytes,
    cpu_ms: cpuMs,
    requests,
    in_flight: inFlight,
  })),
});

export const versionView = (version: VersionInfo): Version => ({
  version: version.version,
  status: version.state,
  active: version.active,
  archive_sha256: version.archiveHash,
  archive_bytes: version.archiveBytes,
  bundle_bytes: version.bundleBytes,
  created_at: timestamp(version.createdAt),
  updated_at: timestamp(version.updatedAt),
});

export const buildView = (build: BuildInfo): Build => ({
  lambda_id: build.lambdaId,
  version: build.version,
  status: build.state,
  log: build.log.map(({ time, message }) => ({ time: timestamp(time), message })),
  problems: build.problems.map(problemView),
  started_at: build.startedAt === null ? null : timestamp(build.startedAt),
  ended_at: build.endedAt === null ? null : timestamp(build.endedAt),
});

/** The store's problems and the builder's have the same shape. */
export const problemView = ({
  severity,
  rule,
  message,
  mend,
  file,
  line,
  column,
}: BuildInfo['problems'][number]): Build['problems'][number] => ({
  severity,
  rule,
  message,
  mend,
  ...present({ file, line, column }),
});

const textOrNull = (text: string): string | null => (text === '' ? null : text);
