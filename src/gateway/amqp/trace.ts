import { parseTraceparent, traceContext, type TraceContext } from '../../telemetry/trace-context.ts';

type Headers = Readonly<Record<string, unknown>>;

const UBER = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{0,16}:([0-9a-f]{1,2})$/i;
const XRAY_ROOT = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/i;

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

/** `trace:span:parent:flags`, hexadecimal, leading zeros left out. */
function parseUber(value: unknown): TraceContext | undefined {
  // Jaeger's text map writes the colons percent-encoded.
  const match = typeof value === 'string' ? UBER.exec(value.replaceAll(/%3a/gi, ':')) : null;
  if (!match) return undefined;
  const [, traceId = '', spanId = '', flags = ''] = match;
  return traceContext(
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
  return traceContext((time + unique).toLowerCase(), parent.toLowerCase(), parts.get('sampled') === '1');
}
