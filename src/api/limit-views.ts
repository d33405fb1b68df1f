import { effectiveLimits, LIMIT_KEYS, LIMITS, type LimitKey, type PartialLimits } from '../config/limits.ts';
import type { LambdaStatus } from '../deploy/types.ts';
import type { LambdaEntry, QuotaView } from '../registry/types.ts';
import type { LimitView, LimitViews } from '../schemas/index.ts';

/** Every limit of an account, with what decides it and what is used of it. */
export const accountLimitViews = (quota: QuotaView, used: PartialLimits): LimitViews =>
  views((key) => ({ ...decided(quota, key), in_force: quota.effective[key], used: used[key] ?? null }));

/** Every limit of a lambda. What its account as a whole uses stands in the account's quota. */
export function lambdaLimitViews(
  lambda: LambdaEntry,
  quota: QuotaView,
  instances: readonly LambdaStatus['instances'][number][],
): LimitViews {
  const wishes = lambda.deployParameters.limits;
  const inForce = effectiveLimits(quota.ceilings, quota.quota, wishes);
  const used = usedBy(instances);
  return views((key) => ({
    ...decided(quota, key),
    ...(LIMITS[key].scope === 'lambda' ? { requested: wishes[key] ?? null } : {}),
    in_force: inForce[key],
    used: used[key] ?? null,
  }));
}

const views = (view: (key: LimitKey) => Omit<LimitView, 'unit' | 'about'>): LimitViews =>
  Object.fromEntries(
    LIMIT_KEYS.map((key): [LimitKey, LimitView] => {
      const { unit, about } = LIMITS[key];
      return [key, { unit, about, ...view(key) }];
    }),
  ) as LimitViews;

const decided = ({ defaults, ceilings, quota }: QuotaView, key: LimitKey) => ({
  default: defaults[key],
  ceiling: ceilings[key] ?? null,
  quota: quota[key] ?? null,
});

const MiB = 1024 * 1024;

/** A heap limit holds for each isolate, so the fullest counts; invocations in flight count together. */
function usedBy(instances: readonly LambdaStatus['instances'][number][]): PartialLimits {
  const heapBytes = Math.max(0, ...instances.map((instance) => instance.heapBytes));
  return {
    memory_mb: Math.ceil(heapBytes / MiB),
    concurrency: instances.reduce((sum, instance) => sum + instance.inFlight, 0),
  };
}
