import { randomBytes } from 'node:crypto';

/** Where a request stands in a trace. */
export interface TraceContext {
  /** 32 hexadecimal digits, lower case. */
  readonly traceId: string;
  /** 16 hexadecimal digits, lower case: the caller's span. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** W3C `tracestate`, passed on as it came. */
  readonly state?: string | undefined;
}

/** A span that is under way. */
export interface Span {
  readonly context: TraceContext;
  end(error?: string): void;
}

/** Makes spans; the exporter behind it is none of the gateway's business. Without a parent a trace begins. */
export interface Tracer {
  start(name: string, kind: 'consumer' | 'internal' | 'producer', parent: TraceContext | undefined): Span;
}

type Headers = Readonly<Record<string, unknown>>;

const W3C = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const UBER = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{0,16}:([0-9a-f]{1,2})$/i;
const XRAY_ROOT = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/i;
const MAX_STATE_CHARS = 512;

/**
 * The caller's trace, from any of three headers; where several are there, the first of: W3C `traceparent`
 * (https://www.w3.org/TR/trace-context/), Jaeger's `uber-trace-id`, AWS's `X-Amzn-Trace-Id`.
 * A header that breaks its own rules counts as absent. Names are compared without case.
 */
export function parseTrace(headers: Headers): TraceContext | undefined {
  let traceparent: unknown;
  let state: unknown;
  let uber: unknown;
  let xray: unknown;
  for (const name of Object.keys(headers)) {
    // Every form's name is one of four lengths: most headers are passed over without a lower-case copy.
    switch (name.length) {
      case 11:
        if (name.toLowerCase() === 'traceparent') traceparent = headers[name];
        break;
      case 10:
        if (name.toLowerCase() === 'tracestate') state = headers[name];
        break;
      case 13:
        if (name.toLowerCase() === 'uber-trace-id') uber = headers[name];
        break;
      case 15:
        if (name.toLowerCase() === 'x-amzn-trace-id') xray = headers[name];
        break;
    }
  }
  return parseTraceparent(traceparent, state) ?? parseUber(uber) ?? parseXray(xray);
}

export function parseTraceparent(value: unknown, state?: unknown): TraceContext | undefined {
  const match = typeof value === 'string' ? W3C.exec(value) : null;
  if (!match) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
  // Version 00 ends after the flags; ff is forbidden; later versions may go on.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  return context(traceId, spanId, (parseInt(flags, 16) & 1) === 1, state);
}

/** `trace:span:parent:flags`, hexadecimal, leading zeros left out. */
function parseUber(value: unknown): TraceContext | undefined {
  // Jaeger's text map writes the colons percent-encoded.
  const match = typeof value === 'string' ? UBER.exec(value.replaceAll(/%3a/gi, ':')) : null;
  if (!match) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = match;
  return context(
    traceId.toLowerCase().padStart(32, '0'),
    spanId.toLowerCase().padStart(16, '0'),
    (parseInt(flags, 16) & 1) === 1,
  );
}

/** `Root=1-<8>-<24>;Parent=<16>;Sampled=<0|1>`, in any order. */
function parseXray(value: unknown): TraceContext | undefined {
  if (typeof value !== 'string') return undefined;
  const parts = new Map(
    value.split(';', 16).map((part): [string, string] => {
      const at = part.indexOf('=');
      return [part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()];
    }),
  );
  const root = XRAY_ROOT.exec(parts.get('root') ?? '');
  const parent = parts.get('parent') ?? '';
  if (!root || !/^[0-9a-f]{16}$/i.test(parent)) return undefined;
  const [, time = '', unique = ''] = root;
  return context((time + unique).toLowerCase(), parent.toLowerCase(), parts.get('sampled') === '1');
}

function context(
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

/** The context of a new span below `parent`, or at the beginning of a trace. */
export function childContext(parent: TraceContext | undefined): TraceContext {
  const spanId = randomBytes(8).toString('hex');
  return parent ? { ...parent, spanId } : { traceId: randomBytes(16).toString('hex'), spanId, sampled: true };
}

/** Headers that carry a trace on in a reply. */
export function traceHeaders(trace: TraceContext): Record<string, string> {
  const headers: Record<string, string> = { traceparent: formatTraceparent(trace) };
  if (trace.state !== undefined) headers.tracestate = trace.state;
  return headers;
}
