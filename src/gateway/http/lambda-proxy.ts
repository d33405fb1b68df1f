import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { renderFailure, IsolambdaError } from '../../errors/error.ts';
import type { Invoke } from '../../invoke/types.ts';
import type { HttpHead } from '../../protocol/invocation.ts';
import type { HeaderList, Outcome } from '../../protocol/outcome.ts';
import type { LambdaEntry, Registry } from '../../registry/types.ts';
import { collectBody } from './body.ts';
import './principal.ts';

export interface LambdaProxyOptions {
  readonly registry: Registry;
  readonly invoke: Invoke;
}

/** `ANY /1/lambdas/{id}/proxy/{path}`: an HTTP request into a lambda. Its body stays opaque bytes, both ways. */
export function lambdaProxy(
  app: FastifyInstance,
  { registry, invoke }: LambdaProxyOptions,
  done: () => void,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', collectBody);
  app.addHook('onRequest', (request, _reply, next) => {
    request.lambda = findLambda(registry, request);
    next();
  });
  app.all('/1/lambdas/:lambdaId/proxy/*', async (request, reply) => {
    const lambda = request.lambda!;
    const leaving = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) leaving.abort();
    });
    const outcome = await invoke({
      source: 'http',
      lambda,
      head: headOf(request, lambda),
      body: (request.body as Buffer | undefined) ?? NO_BODY,
      signal: leaving.signal,
    });
    return render(reply, outcome, lambda);
  });
  done();
}

const NO_BODY = Buffer.alloc(0);

/** The lambda that the path names, where the asker may invoke it. What is another account's does not exist. */
function findLambda(registry: Registry, { params, principal }: FastifyRequest): LambdaEntry {
  const { lambdaId } = params as { lambdaId: string };
  const lambda = registry.lambda(lambdaId);
  if (lambda?.routesAuth === 'public') return lambda;
  if (!principal) throw new IsolambdaError('unauthorized', 'no valid token came with the request');
  if (!principal.operator && !principal.scopes.has('invoke') && !principal.scopes.has('admin'))
    throw new IsolambdaError('forbidden', 'the token lacks the scope "invoke"');
  if (!lambda || !(principal.operator || lambda.shared || lambda.accountId === principal.accountId)) {
    throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
  }
  return lambda;
}

function headOf(request: FastifyRequest, lambda: LambdaEntry): HttpHead {
  const { raw, principal } = request;
  const target = raw.url ?? '/';
  const question = target.indexOf('?');
  const pathEnd = question === -1 ? target.length : question;
  const traceparent = raw.headers.traceparent;
  return {
    kind: 'http',
    requestId: request.requestId,
    accountId: principal?.accountId ?? lambda.accountId,
    deadlineMs: Date.now() + (lambda.active?.limits.timeout_ms ?? 0),
    ...(typeof traceparent === 'string' ? { traceparent } : undefined),
    method: raw.method ?? 'GET',
    path: target.slice(target.indexOf('/proxy/') + '/proxy'.length, pathEnd),
    query: question === -1 ? '' : target.slice(question + 1),
    headers: forwardedHeaders(raw.rawHeaders, lambda.routesAuth === 'public'),
    clientIp: request.ip,
  };
}

/** Headers of the connection are the host's; the token that opened the host's door is not for the lambda to see. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

function forwardedHeaders(raw: readonly string[], withAuthorization: boolean): HeaderList {
  const kept: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    if (OWN_HEADERS.has(name) || (name === 'authorization' && !withAuthorization)) continue;
    kept.push(name, raw[index + 1]!);
  }
  return kept;
}

function render(reply: FastifyReply, outcome: Outcome, lambda: LambdaEntry): FastifyReply {
  reply.header('lambda-version', String(lambda.active?.version ?? lambda.version));
  if (outcome.kind === 'reply') {
    for (let index = 0; index < outcome.headers.length; index += 2) {
      const name = outcome.headers[index]!;
      // Only this header may repeat on its own lines; others are joined as HTTP allows.
      if (name === 'set-cookie') reply.header(name, outcome.headers[index + 1]!);
      else
        reply.header(
          name,
          reply.hasHeader(name)
            ? `${String(reply.getHeader(name))}, ${outcome.headers[index + 1]!}`
            : outcome.headers[index + 1]!,
        );
    }
    // Fastify would give bytes a type of its own where the lambda gave none.
    return reply.code(outcome.status).send(outcome.body);
  }
  const { status, body } = renderFailure(outcome);
  if (outcome.retryAfterMs !== undefined)
    reply.header('retry-after', String(Math.max(1, Math.ceil(outcome.retryAfterMs / 1_000))));
  if (outcome.allow !== undefined) reply.header('allow', outcome.allow);
  return reply.code(status).send(body);
}
