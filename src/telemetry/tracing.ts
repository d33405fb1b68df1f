import {
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type SpanContext,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import type { SAMPLERS } from '../config/options.ts';
import { VERSION } from '../config/version.ts';
import { traceContext, type TraceContext, type Tracer } from './trace-context.ts';

export interface Tracing extends Tracer {
  /** Sends what is held, and stops. */
  close(): Promise<void>;
}

export interface TracingOptions {
  /** Of the host: `isolambda`, or of a single lambda; OTEL_SERVICE_NAME wins. */
  readonly serviceName: string;
  /** Base URL of an OTLP receiver over HTTP; OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, where it is empty, is a whole URL. */
  readonly endpoint?: string | undefined;
  /** By OpenTelemetry's names. */
  readonly sampler?: (typeof SAMPLERS)[number] | undefined;
  /** Share of the traces that begin here, from 0 to 1. */
  readonly ratio?: number | undefined;
  /** Told of each batch. */
  readonly onExported?: ((spans: number, ok: boolean) => void) | undefined;
}

const KINDS = {
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
  producer: SpanKind.PRODUCER,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
} as const;
const DEFAULT_ENDPOINT = 'http://127.0.0.1:4318';
/** A receiver that hangs must not hold the end of the host. */
const EXPORT_TIMEOUT_MS = 3_000;

/** Off unless a receiver is named; OpenTelemetry's switches turn it off all the same. */
export function asksForTraces(endpoint: string, env: NodeJS.ProcessEnv): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none') return false;
  return endpoint !== '' || Boolean(env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
}

/** Spans to an OTLP receiver, in batches. A receiver that is down costs the spans, nothing else. Headers: OTEL_EXPORTER_OTLP_HEADERS. */
export function createTracing({
  serviceName,
  endpoint = '',
  sampler = 'parentbased_traceidratio',
  ratio = 1,
  onExported = () => undefined,
}: TracingOptions): Tracing {
  const exporter = new OTLPTraceExporter({ url: urlOf(endpoint), timeoutMillis: EXPORT_TIMEOUT_MS });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': VERSION }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    sampler: samplerOf(sampler, ratio),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: {
          export: (spans, done) =>
            exporter.export(spans, (result) => {
              onExported(spans.length, Number(result.code) === EXPORTED);
              done(result);
            }),
          forceFlush: () => exporter.forceFlush(),
          shutdown: () => exporter.shutdown(),
        },
        scheduledDelayMillis: 1_000,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer('isolambda', VERSION);
  return {
    start(name, kind, parent, attributes = {}) {
      const from = parent ? trace.setSpanContext(ROOT_CONTEXT, remote(parent)) : ROOT_CONTEXT;
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, from);
      return {
        context: contextOf(span.spanContext()),
        set: (more) => void span.setAttributes(more),
        end(error) {
          if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
          span.end();
        },
      };
    },
    close: () => provider.shutdown(),
  };
}

/** `ExportResultCode.SUCCESS` of @opentelemetry/core. */
const EXPORTED = 0;

function urlOf(endpoint: string): string {
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: whole, OTEL_EXPORTER_OTLP_ENDPOINT: base } = process.env;
  if (endpoint === '' && whole) return whole;
  return `${(endpoint || base || DEFAULT_ENDPOINT).replace(/\/$/, '')}/v1/traces`;
}

function samplerOf(name: (typeof SAMPLERS)[number], ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

const remote = ({ traceId, spanId, sampled, state }: TraceContext): SpanContext => ({
  traceId,
  spanId,
  traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
  isRemote: true,
  ...(state !== undefined && { traceState: createTraceState(state) }),
});

function contextOf({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceContext {
  const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
  const state = traceState?.serialize();
  return traceContext(traceId, spanId, sampled, state) ?? { traceId, spanId, sampled };
}
