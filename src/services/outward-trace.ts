import type { BridgeCall } from '../protocol/messages.ts';
import { traceHeaders, type Span, type TraceContext, type Tracer } from '../telemetry/trace-context.ts';
import type { BridgeAnswer } from './answer.ts';

/** The span of what a lambda asks of the world, and the call that carries the trace on. */
export class OutwardTrace {
  readonly call: BridgeCall;
  readonly #span: Span;

  constructor(tracer: Tracer, parent: TraceContext, call: BridgeCall) {
    const { method = 'GET', service, url = '', headers = [] } = call;
    this.#span = tracer.start(service === undefined ? method : `${method} ${service}`, 'client', parent, {
      'http.request.method': method,
      // Not the whole URL: its path and query may hold secrets.
      ...(service !== undefined
        ? { 'isolambda.service': service }
        : URL.canParse(url) && { 'server.address': new URL(url).host }),
    });
    // A lambda that goes on below a span of its own has said so.
    const ownsTrace = headers.some((text, index) => index % 2 === 0 && text.toLowerCase() === 'traceparent');
    this.call = ownsTrace
      ? call
      : { ...call, headers: [...headers, ...Object.entries(traceHeaders(this.#span.context)).flat()] };
  }

  end(answer: BridgeAnswer): BridgeAnswer {
    const { reply } = answer;
    if (reply.ok) this.#span.set({ 'http.response.status_code': reply.status });
    this.#span.end(reply.ok ? undefined : reply.code);
    return answer;
  }
}
