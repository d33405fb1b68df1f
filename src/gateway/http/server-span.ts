import { renderFailure } from '../../errors/error.ts';
import type { Invoke } from '../../invoke/types.ts';
import type { HeaderList } from '../../protocol/outcome.ts';
import { formatTraceparent, parseTraceparent, type Tracer } from '../../telemetry/trace-context.ts';

/** `invoke` with the gateway's span around it, from the whole request to the outcome. Without a tracer it is `invoke` itself. */
export function withServerSpan(invoke: Invoke, tracer: Tracer | undefined): Invoke {
  if (!tracer) return invoke;
  const traced: Invoke = Object.assign(
    async (request: Parameters<Invoke>[0]) => {
      const { head, lambda } = request;
      const http = head.kind === 'http';
      const parent = parseTraceparent(
        head.traceparent,
        http ? valueOf(head.headers, 'tracestate') : undefined,
      );
      const method = http ? head.method : 'GET';
      const span = tracer.start(`${method} /1/lambdas/{lambda_id}/proxy`, 'server', parent, {
        'http.request.method': method,
        'isolambda.lambda_id': lambda.id,
        'isolambda.request_id': head.requestId,
      });
      const outcome = await invoke({
        ...request,
        head: { ...head, traceparent: formatTraceparent(span.context) },
        trace: span.context,
      });
      const status = outcome.kind === 'reply' ? outcome.status : renderFailure(outcome).status;
      span.set({ 'http.response.status_code': status, 'isolambda.outcome': outcome.kind });
      // OpenTelemetry's convention for servers: what the client got wrong is no error of theirs.
      span.end(status >= 500 ? outcome.kind : undefined);
      return outcome;
    },
    {
      refused: (...refused: Parameters<Invoke['refused']>) => invoke.refused(...refused),
      drain: () => invoke.drain(),
      idle: () => invoke.idle(),
    },
  );
  return traced;
}

function valueOf(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index] === name) return headers[index + 1];
  return undefined;
}
