/** Where a request stands in a trace, as W3C writes it: https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  /** 32 hexadecimal digits, lower case. */
  readonly traceId: string;
  /** 16 hexadecimal digits, lower case: the caller's span. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** `tracestate`, passed on as it came. */
  readonly state?: string | undefined;
}

export type Attributes = Readonly<Record<string, string | number>>;

/** A span that is under way. */
export interface Span {
  readonly context: TraceContext;
  set(attributes: Attributes): void;
  /** `error`: what went wrong; absent where all went well. */
  end(error?: string): void;
}

/** Makes spans; the exporter behind it is nobody's business. Without a parent a trace begins. */
export interface Tracer {
  start(
    name: string,
    kind: 'consumer' | 'internal' | 'producer' | 'server' | 'client',
    parent: TraceContext | undefined,
    attributes?: Attributes,
  ): Span;
}

const W3C = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAX_STATE_CHARS = 512;

/** A header that breaks its own rules counts as absent. */
export function parseTraceparent(value: unknown, state?: unknown): TraceContext | undefined {
  const match = typeof value === 'string' ? W3C.exec(value) : null;
  if (!match) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
  // Version 00 ends after the flags; ff is forbidden; later versions may go on.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  return traceContext(traceId, spanId, (parseInt(flags, 16) & 1) === 1, state);
}

export function traceContext(
  traceId: string,
  spanId: string,
  sampled: boolean,
  state?: unknown,
): TraceContext | undefined {
  // All zeros mean "none" in every one of the formats.
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const kept = typeof state === 'string' && state.length <= MAX_STATE_CHARS ? state : undefined;
  return kept === undefined ? { traceId, spanId, sampled } : { traceId, spanId, sampled, state: kept };
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Headers that carry a trace on. */
export function traceHeaders(trace: TraceContext): Record<string, string> {
  const headers: Record<string, string> = { traceparent: formatTraceparent(trace) };
  if (trace.state !== undefined) headers.tracestate = trace.state;
  return headers;
}
