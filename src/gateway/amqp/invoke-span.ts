import { formatTraceparent, parseTraceparent, type Tracer } from './trace.ts';
import type { Serve, ServeRequest } from './types.ts';

/** `serve` with a span `invoke` around it, below the consumer's; the handler's `traceparent` names this span. */
export function withInvokeSpan(tracer: Tracer | undefined, serve: Serve): Serve {
  if (!tracer) return serve;
  return async (request) => {
    const span = tracer.start('invoke', 'internal', parseTraceparent(request.head.traceparent));
    let failed: string | undefined = 'internal';
    try {
      const outcome = await serve(new Traced(request, formatTraceparent(span.context)));
      failed = outcome.kind === 'reply' ? undefined : outcome.kind;
      return outcome;
    } finally {
      span.end(failed);
    }
  };
}

class Traced implements ServeRequest {
  readonly head: ServeRequest['head'];
  readonly #request: ServeRequest;

  constructor(request: ServeRequest, traceparent: string) {
    this.head = { ...request.head, traceparent };
    this.#request = request;
  }

  get body(): Uint8Array {
    return this.#request.body;
  }

  // Made on first use, which spreading would be.
  get signal(): AbortSignal {
    return this.#request.signal;
  }
}
