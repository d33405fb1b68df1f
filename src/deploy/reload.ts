import type { LimitKey, Limits } from '../config/limits.ts';
import type { Pool } from '../pool/types.ts';
import type { IsolateLimits } from '../protocol/messages.ts';
import type { Registry } from '../registry/types.ts';

/** Limits that an isolate gets when it is loaded. The host's own (rates, concurrency, time, bodies) need no new isolate. */
const ISOLATE_LIMITS = [
  'memory_mb',
  'cpu_ms',
  'startup_ms',
  'shutdown_ms',
  'reply_bytes',
  'header_bytes',
  'log_line_bytes',
  'log_bytes_per_s',
  'fetches',
  'fetch_concurrency',
  'fetch_bytes',
] as const satisfies readonly (keyof IsolateLimits & LimitKey)[];

const differ = (a: Limits, b: Limits): boolean => ISOLATE_LIMITS.some((key) => a[key] !== b[key]);

/**
 * A quota takes effect at once: isolates that run under the limits before finish what they have, and the next request
 * gets a fresh one under the new limits. Returns how to stop listening.
 */
export function reloadOnNewLimits(
  registry: Pick<Registry, 'on' | 'lambdas'>,
  pool: Pick<Pool, 'instances'>,
  retire: (lambdaId: string, version: number, reason: 'update') => void,
): () => void {
  return registry.on('limitsChanged', ({ accountId, limits, previous }) => {
    if (!differ(limits, previous)) return;
    for (const lambda of registry.lambdas({ accountId, page: 1, pageSize: Infinity }).items)
      if (lambda.active !== undefined && pool.instances(lambda.id).length > 0)
        retire(lambda.id, lambda.active.version, 'update');
  });
}
