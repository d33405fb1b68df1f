import { formatTraceparent, parseTraceparent, type Tracer } from './trace.ts';
import type { Serve } from './types.ts';

/** `serve` with a span `invoke` around it, below the consumer's; the handler's `traceparent` names this span. */
export function withInvokeSpan(tracer: Tracer | undefined, serve: Serve): Serve {
  if (!tracer) return serve;
  return async (request) => {
    const span = tracer.start('invoke', 'internal', parseTraceparent(request.head.traceparent));
    let failed: string | undefined = 'internal';
    try {
      const traceparent = formatTraceparent(span.context);
      const outcome = await serve({ ...request, head: { ...request.head, traceparent } });
      failed = outcome.kind === 'reply' ? undefined : outcome.kind;
      return outcome;
    } finally {
      span.end(failed);
    }
  };
}
