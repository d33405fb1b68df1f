import { Counter, Histogram, type Registry } from 'prom-client';

/** What the parts of the host tell of their work. Every text becomes a label's value: it must come from a closed list. */
export interface PartMetrics {
  readonly pool: PoolMetrics;
  readonly builds: BuildMetrics;
  readonly egress: EgressMetrics;
  readonly logs: LogMetrics;
  readonly edges: EdgeMetrics;
  readonly spans: SpanMetrics;
}

export interface PoolMetrics {
  readonly runnerBooted: (ms: number) => void;
  /** `cause`: why it is gone; `exited` is a crash, most others are the host's kills. */
  readonly runnerEnded: (cause: string) => void;
  /** From the first call's arrival until the isolate runs, or failed to. */
  readonly coldStart: (started: boolean, ms: number) => void;
  /** `reason`: the limit that it broke, its crash, or why it was taken down. */
  readonly isolateEnded: (reason: string) => void;
}

export interface BuildMetrics {
  readonly built: (result: 'ok' | 'refused' | 'failed', ms: number) => void;
}

export interface EgressMetrics {
  /** `result`: `ok` where a reply came, else the refusal's code. */
  readonly request: (
    bridge: 'fetch' | 'service',
    result: string,
    ms: number,
    sentBytes: number,
    receivedBytes: number,
  ) => void;
}

export interface LogMetrics {
  readonly kept: (lines: number, bytes: number) => void;
  readonly dropped: (lines: number, reason: string) => void;
  /** Readers that follow were too slow for so many lines. */
  readonly missed: (lines: number) => void;
}

export interface EdgeMetrics {
  /** The management API has answered; `route` is a pattern. */
  readonly apiReply: (method: string, route: string, status: number, ms: number) => void;
  /** A request into a lambda was refused before it was an invocation; `error` is a code of the error table. */
  readonly refused: (error: string) => void;
}

export interface SpanMetrics {
  readonly exported: (spans: number, ok: boolean) => void;
}

const START_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const BUILD_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60];
const REQUEST_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createPartMetrics(registry: Registry): PartMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
    new Counter({ name: `isolambda_${name}`, help, labelNames, registers });
  const histogram = <L extends string>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: L[]
  ): Histogram<L> => new Histogram({ name: `isolambda_${name}`, help, labelNames, buckets, registers });

  const boots = histogram(
    'runner_boot_seconds',
    'Time from the start of a runner until it was ready.',
    START_BUCKETS,
  );
  const runnerEnds = counter(
    'runners_ended_total',
    'Runners that are gone, by cause; exited means crashed.',
    'cause',
  );
  const coldStarts = histogram(
    'cold_start_seconds',
    'Time from the call that found no isolate until one ran, or failed to start.',
    START_BUCKETS,
    'result',
  );
  const isolateEnds = counter('isolates_ended_total', 'Isolates that ended, by reason.', 'reason');
  const builds = histogram(
    'build_duration_seconds',
    'Builds of archives, by result.',
    BUILD_BUCKETS,
    'result',
  );
  const egress = histogram(
    'egress_request_duration_seconds',
    "Lambdas' fetches and service calls, by result.",
    REQUEST_BUCKETS,
    'bridge',
    'result',
  );
  const egressBytes = counter('egress_bytes_total', 'Bodies that lambdas sent and received.', 'direction');
  const logLines = counter('log_lines_total', "Lines that were added to lambdas' logs.");
  const logBytes = counter('log_bytes_total', "Bytes that were written to lambdas' logs.");
  const logDrops = counter(
    'log_lines_dropped_total',
    'Lines of lambdas that reached no log, by reason.',
    'reason',
  );
  const logMisses = counter('log_lines_missed_total', 'Lines that followers of logs were too slow for.');
  const apiReplies = counter(
    'api_requests_total',
    'Requests to the management API, by method, route and status.',
    'method',
    'route',
    'status',
  );
  const apiSeconds = histogram(
    'api_request_duration_seconds',
    'Requests to the management API.',
    REQUEST_BUCKETS,
  );
  const refusals = counter(
    'edge_refusals_total',
    'Requests into lambdas that were refused before they were invocations, by error.',
    'error',
  );
  const spans = counter('trace_spans_total', 'Spans that were handed to the exporter, by result.', 'result');

  return {
    pool: {
      runnerBooted: (ms) => boots.observe(ms / 1_000),
      runnerEnded: (cause) => runnerEnds.inc({ cause }),
      coldStart: (started, ms) => coldStarts.observe({ result: started ? 'started' : 'failed' }, ms / 1_000),
      isolateEnded: (reason) => isolateEnds.inc({ reason }),
    },
    builds: { built: (result, ms) => builds.observe({ result }, ms / 1_000) },
    egress: {
      request(bridge, result, ms, sentBytes, receivedBytes) {
        egress.observe({ bridge, result }, ms / 1_000);
        egressBytes.inc({ direction: 'sent' }, sentBytes);
        egressBytes.inc({ direction: 'received' }, receivedBytes);
      },
    },
    logs: {
      kept(lines, bytes) {
        logLines.inc(lines);
        logBytes.inc(bytes);
      },
      dropped: (lines, reason) => logDrops.inc({ reason }, lines),
      missed: (lines) => logMisses.inc(lines),
    },
    edges: {
      apiReply(method, route, status, ms) {
        apiReplies.inc({ method, route, status });
        apiSeconds.observe(ms / 1_000);
      },
      refused: (error) => refusals.inc({ error }),
    },
    spans: { exported: (count, ok) => spans.inc({ result: ok ? 'exported' : 'failed' }, count) },
  };
}
