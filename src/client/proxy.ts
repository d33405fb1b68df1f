import type { LambdaReply } from './reply.ts';
import type { Query, RequestBody, Transport } from './transport.ts';

export interface ProxyCall {
  readonly lambdaId: string;
  /** Below `/proxy`: `main`, `healthcheck`, an added route. With or without a slash before it; percent-encoded by you. `main` by default. */
  readonly path?: string | undefined;
  /** In whose name: for the operator, or a host behind its own gateway. */
  readonly accountId?: string | undefined;
  /** Bytes and forms go as they are, a text as text, anything else as JSON. */
  readonly body?: RequestBody;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly query?: Query | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** Throw LambdaApiError where the status is 400 or above. By default the reply is returned, whatever its status: it may be the lambda's own. */
  readonly raiseError?: boolean | undefined;
}

export type ProxyVerb = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';

/** Calls into a lambda. */
export function proxyCall(
  transport: Transport,
  method: ProxyVerb,
  { lambdaId, path = 'main', raiseError = false, ...rest }: ProxyCall,
): Promise<LambdaReply> {
  const below = path.startsWith('/') ? path : `/${path}`;
  return transport.call({
    ...rest,
    method,
    path: `/1/lambdas/${encodeURIComponent(lambdaId)}/proxy${below}`,
    keepErrors: !raiseError,
  });
}
