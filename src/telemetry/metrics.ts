import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What the request path counts: one counter and one histogram, with labels from closed lists. */
export interface InvocationMetrics {
  invocation(source: string, outcome: string, wallMs: number): void;
}

const LOOP_RESOLUTION_MS = 10;

export interface Metrics extends InvocationMetrics {
  /** The text of `/metrics`. */
  text(): Promise<string>;
  readonly contentType: string;
  /** A value that is read when the metrics are. */
  gauge(name: string, help: string, read: () => number): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'isolambda_host_' });
  const total = new Counter({
    name: 'isolambda_invocations_total',
    help: 'Invocations by edge and outcome.',
    labelNames: ['source', 'outcome'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'isolambda_invocation_duration_seconds',
    help: 'Wall time of invocations, from the edge to the outcome.',
    labelNames: ['source'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  // The default metrics have one of their own, which they reset for themselves; this one says: since it was last read.
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loopDelay.enable();
  const longestDelay: Gauge = new Gauge({
    name: 'isolambda_event_loop_delay_max_seconds',
    help: "Longest time that the host's event loop did not turn, since the metrics were last read.",
    registers: [registry],
    collect: () => {
      longestDelay.set(Math.max(0, loopDelay.max / 1e9 - LOOP_RESOLUTION_MS / 1e3));
      loopDelay.reset();
    },
  });
  // Label look-ups cost more than the count itself: each pair is looked up once.
  const counters = new Map<string, ReturnType<typeof total.labels>>();
  const histograms = new Map<string, ReturnType<typeof seconds.labels>>();
  return {
    invocation(source, outcome, wallMs) {
      const key = `${source} ${outcome}`;
      let counter = counters.get(key);
      if (!counter) counters.set(key, (counter = total.labels(source, outcome)));
      counter.inc();
      let histogram = histograms.get(source);
      if (!histogram) histograms.set(source, (histogram = seconds.labels(source)));
      histogram.observe(wallMs / 1_000);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect: () => gauge.set(read()) });
    },
  };
}
