/**
 * Every option of the host, once. From this table come the command's flags and help, the environment
 * variables, the keys of the configuration file, and the checks.
 */

interface OptionBase {
  /** Key in the configuration file; a dot descends. The flag and the variable are made from it. */
  readonly key: string;
  readonly about: string;
  /** A variable of a convention, read where the own one is not set. */
  readonly otherVariable?: string;
}
interface TextOption extends OptionBase {
  readonly type: 'text';
  readonly default: string;
}
interface NumberOption extends OptionBase {
  readonly type: 'number';
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** Need not be whole. */
  readonly fraction?: true;
}
interface ChoiceOption extends OptionBase {
  readonly type: 'choice';
  readonly default: string;
  readonly choices: readonly string[];
}
interface ListOption extends OptionBase {
  readonly type: 'list';
  readonly default: readonly string[];
}
interface SwitchOption extends OptionBase {
  readonly type: 'switch';
  readonly default: boolean;
}
export type OptionSpec = TextOption | NumberOption | ChoiceOption | ListOption | SwitchOption;

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
export const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

export const OPTIONS = {
  host: { key: 'host', type: 'text', default: '127.0.0.1', about: 'address to listen on' },
  port: {
    key: 'port',
    type: 'number',
    default: 8080,
    min: 0,
    max: 65_535,
    about: 'port to listen on; 0 picks a free one',
  },
  dataDir: {
    key: 'data_dir',
    type: 'text',
    default: './data',
    about: 'folder of the store, the archives and host.json',
  },
  storeUrl: {
    key: 'store.url',
    type: 'text',
    default: '',
    about:
      'PostgreSQL of hosts that share one registry, postgres://user:password@host/database; empty: SQLite in the data folder',
  },
  storeCacheMb: {
    key: 'store.cache_mb',
    type: 'number',
    default: 1_024,
    min: 0,
    max: 1_048_576,
    about: 'archives and bundles of a shared store that are kept in the data folder too',
  },
  logLevel: {
    key: 'log.level',
    type: 'choice',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    about: "least level of the host's own log",
  },
  authMode: {
    key: 'auth.mode',
    type: 'choice',
    default: 'token',
    choices: ['token', 'trusted-header'],
    about: 'who says which account asks: a bearer token, or a gateway before the host',
  },
  authAllow: {
    key: 'auth.allow',
    type: 'list',
    default: [],
    about: 'addresses besides loopback on which trusted-header may listen',
  },
  jail: {
    key: 'sandbox.jail',
    type: 'choice',
    default: 'auto',
    choices: ['auto', 'bubblewrap', 'none'],
    about: 'process wall around the runners; auto: bubblewrap where it works',
  },
  spareRunners: {
    key: 'sandbox.spare_runners',
    type: 'number',
    default: 2,
    min: 0,
    max: 64,
    about: 'booted runners that wait for an account',
  },
  maxRunners: {
    key: 'sandbox.max_runners',
    type: 'number',
    default: 500,
    min: 1,
    max: 100_000,
    about: 'runner processes at once',
  },
  idleMs: {
    key: 'sandbox.idle_ms',
    type: 'number',
    default: 600_000,
    min: 100,
    max: 86_400_000,
    about: 'an isolate without a call for this long is evicted',
  },
  pollUs: {
    key: 'sandbox.poll_us',
    type: 'number',
    default: 500,
    min: 0,
    max: 10_000,
    about: 'a runner whose answers come within so many microseconds is waited for awake; 0: none is',
  },
  buildTimeoutMs: {
    key: 'build.timeout_ms',
    type: 'number',
    default: 20_000,
    min: 100,
    max: 600_000,
    about: 'deadline of one build',
  },
  buildMemoryMb: {
    key: 'build.memory_mb',
    type: 'number',
    default: 768,
    min: 64,
    max: 65_536,
    about: 'memory of one builder process',
  },
  buildConcurrency: {
    key: 'build.concurrency',
    type: 'number',
    default: 2,
    min: 1,
    max: 64,
    about: 'builds at once',
  },
  amqpUrl: {
    key: 'amqp.url',
    type: 'text',
    default: '',
    about:
      'broker from which lambdas with parameters.amqp are served, amqp://user:password@host; empty serves none',
  },
  tasksQueue: {
    key: 'tasks.queue',
    type: 'choice',
    default: 'embedded',
    choices: ['embedded', 'amqp'],
    about: 'how subtasks reach the hosts that execute them: from the store, or by the broker of amqp.url',
  },
  tasksConcurrency: {
    key: 'tasks.concurrency',
    type: 'number',
    default: 200,
    min: 1,
    max: 100_000,
    about: 'subtasks of all accounts that this host executes at once',
  },
  tasksLeaseMs: {
    key: 'tasks.lease_ms',
    type: 'number',
    default: 10_000,
    min: 500,
    max: 600_000,
    about: 'a host that was silent for this long is taken for dead: others execute what it had begun',
  },
  tasksCancelGraceMs: {
    key: 'tasks.cancel_grace_ms',
    type: 'number',
    default: 5_000,
    min: 0,
    max: 600_000,
    about: 'time that a subtask has to end by itself when its task is cancelled',
  },
  tasksRetentionMs: {
    key: 'tasks.retention_ms',
    type: 'number',
    default: 604_800_000,
    min: 1_000,
    max: 31_536_000_000,
    about: 'tasks are deleted this long after they ended',
  },
  tracingEndpoint: {
    key: 'tracing.endpoint',
    type: 'text',
    default: '',
    otherVariable: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    about: 'OTLP receiver that traces go to, as http://127.0.0.1:4318; empty: none are made',
  },
  tracingSampler: {
    key: 'tracing.sampler',
    type: 'choice',
    default: 'parentbased_traceidratio',
    choices: SAMPLERS,
    otherVariable: 'OTEL_TRACES_SAMPLER',
    about: "which requests are traced, by OpenTelemetry's names; parentbased: as the caller decided",
  },
  tracingRatio: {
    key: 'tracing.ratio',
    type: 'number',
    default: 1,
    min: 0,
    max: 1,
    fraction: true,
    otherVariable: 'OTEL_TRACES_SAMPLER_ARG',
    about: 'share of the traces that begin here, for the samplers with traceidratio',
  },
  shutdownDelayMs: {
    key: 'shutdown.delay_ms',
    type: 'number',
    default: 0,
    min: 0,
    max: 600_000,
    about: 'on SIGTERM, time to serve on while /readiness says 503, for load balancers to see it',
  },
  shutdownGraceMs: {
    key: 'shutdown.grace_ms',
    type: 'number',
    default: 10_000,
    min: 0,
    max: 600_000,
    about: 'time that work in flight has to finish on SIGTERM',
  },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;
export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `sandbox.spare_runners` as `--sandbox-spare-runners`. */
export const flagOf = (name: OptionName): string => `--${OPTIONS[name].key.replaceAll(/[._]/g, '-')}`;
/** `sandbox.spare_runners` as `ISOLAMBDA_SANDBOX_SPARE_RUNNERS`. */
export const variableOf = (name: OptionName): string =>
  `ISOLAMBDA_${OPTIONS[name].key.replaceAll('.', '_').toUpperCase()}`;

type Widen<T> = T extends number ? number : T extends boolean ? boolean : T;
type ValueOf<O extends OptionSpec> = O extends ChoiceOption
  ? O['choices'][number]
  : O extends ListOption
    ? readonly string[]
    : O extends TextOption
      ? string
      : Widen<O['default']>;
/** A checked value for every option. */
export type OptionValues = { readonly [N in OptionName]: ValueOf<(typeof OPTIONS)[N]> };
