import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  TracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';
import { VERSION } from '../config/version.ts';

/** Where a span stands in its trace; ids in lower-case hexadecimal, as W3C writes them. */
export interface SpanPlace {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

export interface OpenSpan {
  readonly context: SpanPlace;
  /** `error`: what went wrong; absent where all went well. */
  end(error?: string): void;
}

export interface Tracing {
  /** Without a parent a trace begins. */
  start(
    name: string,
    kind: 'consumer' | 'internal' | 'producer' | 'server' | 'client',
    parent: SpanPlace | undefined,
  ): OpenSpan;
  /** Sends what is held, and stops. */
  close(): Promise<void>;
}

export interface TracingOptions {
  /** Of the host: `isolambda`, or the queue of a single lambda. */
  readonly serviceName: string;
  /** Base URL of an OTLP receiver over HTTP; by default OTEL_EXPORTER_OTLP_ENDPOINT, else http://127.0.0.1:4318. */
  readonly endpoint?: string | undefined;
  /** Share of the traces that begin here, from 0 to 1; a caller's decision is kept. */
  readonly sampleRatio?: number | undefined;
}

const KINDS = {
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
  producer: SpanKind.PRODUCER,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
} as const;

/** Spans to an OTLP receiver, in batches. A receiver that is down costs the spans, nothing else. */
export function createTracing({ serviceName, endpoint, sampleRatio = 1 }: TracingOptions): Tracing {
  const base = endpoint ?? process.env.OTEL_EXPORTER_OTLP_ENDPOINT ?? 'http://127.0.0.1:4318';
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': VERSION }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${base.replace(/\/$/, '')}/v1/traces` }),
        scheduledDelayMillis: 1_000,
      }),
    ],
  });
  const tracer = provider.getTracer('isolambda', VERSION);
  return {
    start(name, kind, parent) {
      const from = parent
        ? trace.setSpanContext(ROOT_CONTEXT, {
            traceId: parent.traceId,
            spanId: parent.spanId,
            traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
            isRemote: true,
          })
        : ROOT_CONTEXT;
      const span = tracer.startSpan(name, { kind: KINDS[kind] }, from);
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        context: { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 },
        end(error) {
          if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
          span.end();
        },
      };
    },
    close: () => provider.shutdown(),
  };
}
