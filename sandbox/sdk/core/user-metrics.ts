import { Metric, type Collected } from './metrics.ts';

const MAX_METRICS = 100;
/** Of all metrics together; a page of so many is about a megabyte. */
const MAX_SAMPLES = 10_000;
const OF_THE_HOST = ['request_count_total', 'errors_count_total', 'user_metrics_dropped_total'];

export interface CollectedMetrics {
  readonly metrics: readonly Collected[];
  /** Observations and samples that were left out, because there were too many series. */
  readonly dropped: number;
}

/** `USER_METRICS`, checked. Throws Error for what is no list of metrics of one name each. */
export function userMetrics(exported: unknown): () => CollectedMetrics {
  const metrics = exported ?? [];
  if (!Array.isArray(metrics) || !metrics.every((metric) => metric instanceof Metric))
    throw new Error('USER_METRICS must be an array of Counter, Gauge, Histogram and Summary');
  const all: readonly Metric[] = metrics;
  if (all.length > MAX_METRICS)
    throw new Error(`USER_METRICS has ${all.length} metrics; allowed are ${MAX_METRICS}`);
  const taken = new Set(OF_THE_HOST);
  for (const metric of all) {
    for (const name of namesOf(metric)) {
      if (taken.has(name)) throw new Error(`USER_METRICS: the name "${name}" is taken already`);
      taken.add(name);
    }
  }
  return () => {
    let left = MAX_SAMPLES;
    let dropped = 0;
    const collected = all.map((metric) => {
      const { samples, ...family } = metric.collect();
      const kept = samples.slice(0, left);
      left -= kept.length;
      dropped += metric.dropped + samples.length - kept.length;
      return { ...family, samples: kept };
    });
    return { metrics: collected, dropped };
  };
}

/** Names of its samples: a histogram's and a summary's are more than one. */
function namesOf({ name, type }: Metric): string[] {
  if (type === 'histogram') return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`];
  return type === 'summary' ? [name, `${name}_sum`, `${name}_count`] : [name];
}
