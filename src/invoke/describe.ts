import { renderFailure } from '../errors/error.ts';
import type { LambdaEntry } from '../registry/types.ts';
import type { Invoke } from './types.ts';

/** What a lambda answers to `GET /docs/spec`: its OpenAPI document, made in its isolate. */
export async function describeLambda(
  invoke: Invoke,
  lambda: LambdaEntry,
  requestId: string,
): Promise<{ status: number; contentType: string; body: string | Uint8Array }> {
  const head = {
    kind: 'http',
    requestId,
    accountId: lambda.accountId,
    deadlineMs: Date.now() + (lambda.active?.limits.timeout_ms ?? 0),
    method: 'GET',
    path: '/docs/spec',
    query: '',
    headers: [],
    clientIp: '127.0.0.1',
  } as const;
  const outcome = await invoke({ source: 'http', lambda, head, body: new Uint8Array(0) });
  if (outcome.kind === 'reply')
    return { status: outcome.status, contentType: 'application/json; charset=utf-8', body: outcome.body };
  const { status, body } = renderFailure(outcome);
  return { status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(body) };
}
