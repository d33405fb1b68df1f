import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from '../config/version.ts';
import { createPartMetrics, type PartMetrics } from './part-metrics.ts';
import { createTaskCounts, type TaskCounts } from './task-counts.ts';

/** What the request path counts: one counter and one histogram, with labels from closed lists. */
export interface InvocationMetrics {
  invocation(source: string, outcome: string, wallMs: number): void;
  /** It had to wait for a place; `admitted`: it got one. */
  admissionWait(admitted: boolean, waitedMs: number): void;
}

const LOOP_RESOLUTION_MS = 10;

/**
 * The host's metrics. Labels come from closed lists, never from accounts, lambdas or what clients send: the number of series
 * is bounded, whatever tenants do.
 */
export interface Metrics extends InvocationMetrics, PartMetrics, TaskCounts {
  /** The text of `/metrics`. */
  text(): Promise<string>;
  readonly contentType: string;
  /** A value that is read when the metrics are. */
  readonly gauge: (name: string, help: string, read: () => number) => void;
  /** A count that another part keeps, read when the metrics are. */
  readonly counter: (name: string, help: string, read: () => number) => void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  // Gauges whose names end as counters' do: what they count by type, `nodejs_active_resources` has.
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  new Gauge({
    name: 'isolambda_build_info',
    help: 'Always 1; which isolambda runs on which Node.js.',
    labelNames: ['version', 'node_version'],
    registers,
  }).set({ version: VERSION, node_version: process.versions.node }, 1);
  const total = new Counter({
    name: 'isolambda_invocations_total',
    help: 'Invocations by edge and outcome; refusals of admission are outcomes, too.',
    labelNames: ['source', 'outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'isolambda_invocation_duration_seconds',
    help: 'Wall time of invocations, from the edge to the outcome.',
    labelNames: ['source'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const waits = new Histogram({
    name: 'isolambda_admission_wait_seconds',
    help: 'How long invocations waited for a place, those that had to wait; whether they got one.',
    labelNames: ['result'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  // The default metrics have one of their own, which they reset for themselves; this one says: since it was last read.
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loopDelay.enable();
  const longestDelay: Gauge = new Gauge({
    name: 'isolambda_event_loop_delay_max_seconds',
    help: "Longest time that the host's event loop did not turn, since the metrics were last read.",
    registers,
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
    admissionWait: (admitted, waitedMs) =>
      waits.observe({ result: admitted ? 'admitted' : 'refused' }, waitedMs / 1_000),
    ...createPartMetrics(registry),
    ...createTaskCounts(registry),
    text: () => registry.metrics(),
    contentType: registry.contentType,
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(read()) });
    },
    counter(name, help, read) {
      const counter: Counter = new Counter({
        name,
        help,
        registers,
        collect() {
          counter.reset();
          counter.inc(read());
        },
      });
    },
  };
}

const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];
