/** `isolambda run`: one lambda in a jailed runner, bound to one queue, with neither store nor HTTP server. */
import { availableParallelism } from 'node:os';
import { createBuilder } from './archive/builder.ts';
import { compileConfig } from './config/config.ts';
import type { Deployment } from './config/deployment.ts';
import { DEFAULT_LIMITS } from './config/limits.ts';
import { IsolambdaError } from './errors/error.ts';
import { QueueService } from './gateway/amqp/service.ts';
import type { QueueKind } from './gateway/amqp/topology.ts';
import type { QueueServiceStats } from './gateway/amqp/types.ts';
import { createPool } from './pool/pool.ts';
import { refused } from './services/answer.ts';
import { createEgress } from './services/egress/fetch.ts';
import { compileEgressPolicy } from './services/egress/rules.ts';
import type { GuestServices } from './services/types.ts';
import type { Logger } from './telemetry/log.ts';
import { RunTrace } from './telemetry/run-trace.ts';
import { parseTraceparent } from './telemetry/trace-context.ts';
import { createTracing } from './telemetry/tracing.ts';

export interface RunOptions {
  /** A zip with `lambda_main` at its root. */
  readonly archive: Uint8Array;
  /** The export to call; by default `lambda_handler`. */
  readonly handler?: string | undefined;
  readonly url: string;
  /** By default the module's QUEUE_NAME, else `echo-processor`. */
  readonly queue?: string | undefined;
  readonly queueKind: QueueKind;
  /** Handlers at once; 1 is the blocking runtime. */
  readonly concurrency: number;
  /** Heap of the isolate, MiB. */
  readonly memoryMb: number;
  /** Wall and CPU time of one call, milliseconds. */
  readonly timeoutMs: number;
  /** Where `fetch` may go. */
  readonly egress: readonly string[];
  /** Error replies hold the source-mapped stack. */
  readonly stackTraces: boolean;
  /** Receives the `.cpuprofile` (JSON) when the lambda ends. */
  readonly onProfile?: ((profile: Uint8Array) => void) | undefined;
  /** Spans go to the OTLP endpoint of the environment. */
  readonly tracing: boolean;
  /** Ends a start that is under way: it rejects then. Afterwards `stop` is the way. */
  readonly signal?: AbortSignal | undefined;
  /** The broker was lost for good. */
  readonly onFailed: (error: Error) => void;
  readonly log: Logger;
}

export interface RunningLambda {
  readonly queue: string;
  readonly jail: string;
  stats(): QueueServiceStats;
  /** Takes nothing more, replies to what runs within the grace time, requeues the rest, runs `onShutdown`; idempotent. */
  stop(graceMs: number): Promise<void>;
}

const DEFAULT_QUEUE = 'echo-processor';

/** Rejects with IsolambdaError: `validation` with problems, `start_failed`, `configuration`; nothing is left running then. */
export async function runLambda(options: RunOptions): Promise<RunningLambda> {
  const { log, url, concurrency } = options;
  const deployment = await build(options);
  const egress = createEgress();
  const tracing = options.tracing ? createTracing({ serviceName: 'isolambda run' }) : undefined;
  const config = {
    ...compileConfig({ env: process.env }),
    spareRunners: 1,
    maxRunners: 3,
    idleMs: NEVER_IDLE_MS,
  };
  const pool = createPool({
    config: { ...config, limits: deployment.limits },
    services: servicesOf(options, egress),
    log,
  });
  const end = async (graceMs: number): Promise<void> => {
    await pool.close(graceMs);
    await egress.close();
    await tracing
      ?.close()
      .catch((error: unknown) => log.warn({ err: error }, 'the last spans were not sent'));
  };
  let service: QueueService | undefined;
  const onAbort = (): void => void service?.stop(0);
  options.signal?.addEventListener('abort', onAbort);
  try {
    options.signal?.throwIfAborted();
    await pool.start();
    const loaded = await pool.prepare(deployment);
    options.signal?.throwIfAborted();
    if ('kind' in loaded) throw new IsolambdaError('start_failed', loaded.stack ?? loaded.detail);
    const queue = options.queue ?? loaded.queueName ?? DEFAULT_QUEUE;
    const serving = new QueueService({
      url,
      queue: { name: queue, kind: options.queueKind },
      serve: ({ head, body, signal }) => {
        const trace = tracing && new RunTrace(tracing, parseTraceparent(head.traceparent));
        const traceparent = trace?.traceparent ?? head.traceparent;
        const invocation = { head: { ...head, traceparent, accountId: deployment.accountId }, body, signal };
        return pool.invoke(deployment, trace ? { ...invocation, trace } : invocation).then(({ outcome }) => {
          trace?.end(outcome);
          return outcome;
        });
      },
      concurrency,
      timeoutMs: options.timeoutMs,
      requestBytes: deployment.limits.request_bytes,
      replyBytes: deployment.limits.reply_bytes,
      onFailed: options.onFailed,
      tracer: tracing,
      log,
    });
    service = serving;
    await serving.start();
    let stopping: Promise<void> | undefined;
    return {
      queue,
      jail: pool.jail.kind,
      stats: () => serving.stats(),
      stop: (graceMs) => (stopping ??= serving.stop(graceMs).then(() => end(deployment.limits.shutdown_ms))),
    };
  } catch (error) {
    await end(0);
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}

const NEVER_IDLE_MS = 86_400_000;
/** A request or a reply of this size is the most that a queue should carry; the broker's own limit is 16 MiB. */
const MESSAGE_BYTES = 16 * 1024 * 1024;

async function build({
  archive,
  handler,
  memoryMb,
  timeoutMs,
  concurrency,
  egress,
  stackTraces,
  onProfile,
  log,
}: RunOptions): Promise<Deployment> {
  const builder = createBuilder({ config: compileConfig({ env: process.env }), log, spares: 1 });
  try {
    const result = await builder.build({ archive, type: 'rpc', handler, limits: DEFAULT_LIMITS });
    if (!result.ok)
      throw new IsolambdaError('validation', 'the module is no valid rpc lambda', {
        problems: result.problems,
      });
    const { code, map, lambdaConfig, handler: entry } = result.bundle;
    return {
      accountId: 'local',
      lambdaId: 'local',
      version: 1,
      type: 'rpc',
      handler: entry,
      limits: {
        ...DEFAULT_LIMITS,
        memory_mb: memoryMb,
        process_memory_mb: Math.max(DEFAULT_LIMITS.process_memory_mb, memoryMb * 2 + 384),
        timeout_ms: timeoutMs,
        // The machine is the caller's own: a call may compute for as long as it may take.
        cpu_ms: timeoutMs,
        cpu_cores: availableParallelism(),
        concurrency,
        account_concurrency: concurrency,
        request_bytes: MESSAGE_BYTES,
        reply_bytes: MESSAGE_BYTES,
      },
      instances: 1,
      lambdaConfig,
      userConfig: {},
      egress: [egress],
      env: {},
      services: {},
      debugErrors: stackTraces,
      onProfile,
      loadBundle: () => Promise.resolve({ code, map }),
    };
  } finally {
    await builder.close();
  }
}

function servicesOf(
  { egress: rules, log }: RunOptions,
  egress: ReturnType<typeof createEgress>,
): GuestServices {
  const policy = compileEgressPolicy([rules]);
  const levels = {
    debug: 'debug',
    info: 'info',
    warning: 'warn',
    error: 'error',
    critical: 'fatal',
  } as const;
  return {
    async call(guest, call, body, signal) {
      if (call.bridge !== 'fetch')
        return refused('service_disabled', 'isolambda run has no services: deploy the lambda on a host');
      return egress.fetch({ policy, call, body, replyBytes: guest.limits.fetch_bytes, signal });
    },
    log(_guest, { lines, dropped }) {
      for (const { level, message, fields, requestId } of lines)
        log[levels[level]]({ ...fields, request_id: requestId }, message);
      if (dropped > 0) log.warn({ dropped }, 'log lines of the lambda were dropped: its log rate is limited');
    },
  };
}
