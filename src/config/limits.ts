/**
 * Every limit of the product, once: its key, unit, default, and what it bounds.
 * The same keys stand in `limits:` of the configuration (the operator's ceilings), in an account's quota,
 * and, where a limit is a lambda's, in its `deploy_parameters`. The least of them is in force.
 */

const MiB = 1024 * 1024;
const KiB = 1024;

export interface LimitSpec {
  /** What the number counts; the key's last part repeats it. */
  readonly unit: 'MiB' | 'ms' | 'cores' | 'count' | 'per second' | 'bytes' | 'bytes per second';
  readonly default: number;
  /** The least value that makes sense; smaller ones are refused where they are given. */
  readonly min: number;
  /** `lambda`: a lambda may lower it in `deploy_parameters`. `account`: only an account's quota and the operator. */
  readonly scope: 'lambda' | 'account';
  readonly about: string;
}

export const LIMITS = {
  memory_mb: { unit: 'MiB', default: 128, min: 8, scope: 'lambda', about: 'heap of one isolate' },
  process_memory_mb: {
    unit: 'MiB',
    default: 512,
    min: 64,
    scope: 'account',
    about: "resident memory of the account's runner",
  },
  cpu_ms: { unit: 'ms', default: 1_000, min: 5, scope: 'lambda', about: 'CPU time of one invocation' },
  cpu_cores: { unit: 'cores', default: 1, min: 0.01, scope: 'account', about: 'CPU of an account, as cores' },
  timeout_ms: { unit: 'ms', default: 30_000, min: 10, scope: 'lambda', about: 'wall time of one invocation' },
  startup_ms: {
    unit: 'ms',
    default: 5_000,
    min: 50,
    scope: 'lambda',
    about: 'wall time to evaluate the module and run onStart',
  },
  shutdown_ms: { unit: 'ms', default: 5_000, min: 0, scope: 'lambda', about: 'wall time of onShutdown' },
  concurrency: {
    unit: 'count',
    default: 100,
    min: 1,
    scope: 'lambda',
    about: 'invocations of one lambda in flight',
  },
  account_concurrency: {
    unit: 'count',
    default: 200,
    min: 1,
    scope: 'account',
    about: 'invocations of an account in flight',
  },
  queue: {
    unit: 'count',
    default: 200,
    min: 0,
    scope: 'account',
    about: 'invocations of an account waiting for a place',
  },
  rate_per_s: {
    unit: 'per second',
    default: 500,
    min: 0.01,
    scope: 'lambda',
    about: 'invocations of one lambda per second, burst double',
  },
  account_rate_per_s: {
    unit: 'per second',
    default: 1_000,
    min: 0.01,
    scope: 'account',
    about: 'invocations of an account per second, burst double',
  },
  request_bytes: { unit: 'bytes', default: 8 * MiB, min: 0, scope: 'lambda', about: 'body of one request' },
  reply_bytes: { unit: 'bytes', default: 8 * MiB, min: 0, scope: 'lambda', about: 'body of one reply' },
  header_bytes: {
    unit: 'bytes',
    default: 16 * KiB,
    min: 256,
    scope: 'account',
    about: 'headers of one request or reply',
  },
  archive_bytes: {
    unit: 'bytes',
    default: 20 * MiB,
    min: 22,
    scope: 'account',
    about: 'an uploaded archive',
  },
  unpacked_bytes: {
    unit: 'bytes',
    default: 100 * MiB,
    min: 1,
    scope: 'account',
    about: 'all files of an archive, unpacked',
  },
  archive_files: { unit: 'count', default: 5_000, min: 1, scope: 'account', about: 'entries of an archive' },
  bundle_bytes: {
    unit: 'bytes',
    default: 20 * MiB,
    min: 1,
    scope: 'account',
    about: 'the bundle made of an archive',
  },
  lambdas: { unit: 'count', default: 100, min: 0, scope: 'account', about: 'lambdas of an account' },
  versions: { unit: 'count', default: 10, min: 1, scope: 'account', about: 'versions kept of each lambda' },
  tasks: { unit: 'count', default: 1_000, min: 0, scope: 'account', about: 'tasks that have not ended' },
  tasks_bytes: {
    unit: 'bytes',
    default: 1024 * MiB,
    min: 0,
    scope: 'account',
    about: 'all tasks that are kept: contents, subtasks and results',
  },
  task_content_bytes: {
    unit: 'bytes',
    default: MiB,
    min: 2,
    scope: 'account',
    about: 'content of one task, as JSON',
  },
  task_result_bytes: {
    unit: 'bytes',
    default: 64 * MiB,
    min: 0,
    scope: 'account',
    about: 'results of all subtasks of one task',
  },
  task_parallelism: {
    unit: 'count',
    default: 10,
    min: 1,
    scope: 'account',
    about: 'subtasks of an account executed at once, on each host',
  },
  subtasks: { unit: 'count', default: 10_000, min: 1, scope: 'account', about: 'subtasks of one task' },
  subtask_result_bytes: {
    unit: 'bytes',
    default: MiB,
    min: 2,
    scope: 'account',
    about: 'result of one subtask, as JSON',
  },
  log_line_bytes: {
    unit: 'bytes',
    default: 16 * KiB,
    min: 64,
    scope: 'lambda',
    about: 'one line of the log',
  },
  log_bytes_per_s: {
    unit: 'bytes per second',
    default: MiB,
    min: 256,
    scope: 'lambda',
    about: 'log lines of one isolate per second',
  },
  log_kept_bytes: {
    unit: 'bytes',
    default: 8 * MiB,
    min: 64 * KiB,
    scope: 'lambda',
    about: 'stored log of one lambda, the oldest lines go first',
  },
  fetches: {
    unit: 'count',
    default: 50,
    min: 0,
    scope: 'lambda',
    about: 'outward requests of one invocation',
  },
  fetch_concurrency: {
    unit: 'count',
    default: 6,
    min: 1,
    scope: 'lambda',
    about: 'outward requests of one isolate at once',
  },
  fetch_bytes: {
    unit: 'bytes',
    default: 8 * MiB,
    min: 0,
    scope: 'lambda',
    about: 'reply to one outward request',
  },
} as const satisfies Record<string, LimitSpec>;

export type LimitKey = keyof typeof LIMITS;
export const LIMIT_KEYS = Object.keys(LIMITS) as LimitKey[];

/** A value for every limit. */
export type Limits = Readonly<Record<LimitKey, number>>;
/** Values for some limits, as a configuration, a quota or `deploy_parameters` give them. */
export type PartialLimits = { readonly [K in LimitKey]?: number | undefined };

export type LambdaLimitKey = {
  [K in LimitKey]: (typeof LIMITS)[K]['scope'] extends 'lambda' ? K : never;
}[LimitKey];
export const LAMBDA_LIMIT_KEYS = LIMIT_KEYS.filter(
  (key) => LIMITS[key].scope === 'lambda',
) as LambdaLimitKey[];

export const DEFAULT_LIMITS: Limits = Object.freeze(
  Object.fromEntries(LIMIT_KEYS.map((key) => [key, LIMITS[key].default])) as Record<LimitKey, number>,
);

/**
 * The limits in force: an account's quota takes the default's place (it may raise it), the operator's ceiling
 * bounds the quota, and a lambda's own wish can only lower what is left.
 */
export function effectiveLimits(
  ceilings: PartialLimits,
  quota: PartialLimits,
  wishes: PartialLimits = {},
): Limits {
  const inForce = {} as Record<LimitKey, number>;
  for (const key of LIMIT_KEYS) {
    const granted = Math.min(quota[key] ?? LIMITS[key].default, ceilings[key] ?? Infinity);
    inForce[key] = LIMITS[key].scope === 'lambda' ? Math.min(granted, wishes[key] ?? Infinity) : granted;
  }
  return inForce;
}

/** What is wrong with a set of limits, one sentence each; empty when nothing is. `scope` bounds which keys may be given. */
export function limitProblems(given: Record<string, unknown>, scope: 'lambda' | 'account'): string[] {
  const problems: string[] = [];
  for (const [key, value] of Object.entries(given)) {
    const spec: LimitSpec | undefined = Object.hasOwn(LIMITS, key) ? LIMITS[key as LimitKey] : undefined;
    if (!spec) problems.push(`unknown limit "${key}"`);
    else if (scope === 'lambda' && spec.scope !== 'lambda')
      problems.push(`limit "${key}" is an account's: it can't be set on a lambda`);
    else if (typeof value !== 'number' || !Number.isFinite(value))
      problems.push(`limit "${key}" must be a number (${spec.unit})`);
    else if (value < spec.min)
      problems.push(`limit "${key}" is ${value}: the least is ${spec.min} (${spec.unit})`);
    else if (!FRACTIONAL.has(key) && !Number.isInteger(value))
      problems.push(`limit "${key}" must be a whole number (${spec.unit})`);
  }
  return problems;
}
const FRACTIONAL: ReadonlySet<string> = new Set(['cpu_cores', 'rate_per_s', 'account_rate_per_s']);
