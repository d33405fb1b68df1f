import type { IncomingMessage, ServerResponse } from 'node:http';
import { IsolambdaError } from '../../errors/error.ts';
import { tooLarge } from '../../invoke/invoke.ts';
import type { Invoke } from '../../invoke/types.ts';
import type { ByteChunks } from '../../protocol/frame.ts';
import type { HttpHead } from '../../protocol/invocation.ts';
import { failure, type Failure, type HeaderList } from '../../protocol/outcome.ts';
import type { LambdaEntry, Principal, Registry } from '../../registry/types.ts';
import type { Authenticator } from './authenticator.ts';
import { collectBody } from './body.ts';
import { ClientGone } from './client-gone.ts';
import { sendFailure, sendReply, sendThrown } from './raw-reply.ts';
import type { RefusalPacer } from './refusal-pacer.ts';
import { requestIdOf } from './request-id.ts';

export interface LambdaEdgeOptions {
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly invoke: Invoke;
  readonly pacer: RefusalPacer;
  /** Told of requests that end before they are invocations, by the name of their error. */
  readonly onRefused?: ((error: string) => void) | undefined;
}

/**
 * `ANY /1/lambdas/{id}/proxy/{path}`: an HTTP request into a lambda, its body opaque bytes both ways. It stands
 * before the web framework: routing, hooks and reply of the framework cost as much as all the rest of the way
 * (docs/decisions/lambda-edge.md).
 */
export interface LambdaEdge {
  /** Takes the request where its path is a lambda's; false where it is not. */
  (request: IncomingMessage, response: ServerResponse): boolean;
}

const PREFIX = '/1/lambdas/';
const PROXY = '/proxy/';
const UUID_LENGTH = 36;
const PROXY_AT = PREFIX.length + UUID_LENGTH;

export function createLambdaEdge({
  registry,
  authenticator,
  invoke,
  pacer,
  onRefused,
}: LambdaEdgeOptions): LambdaEdge {
  return (request, response) => {
    const target = request.url ?? '';
    if (!target.startsWith(PREFIX) || !target.startsWith(PROXY, PROXY_AT)) return false;
    const lambdaId = target.slice(PREFIX.length, PROXY_AT);
    const requestId = requestIdOf(request.headers['luna-request-id']);
    const own = ['luna-request-id', requestId];
    let asker: Principal | null = null;
    try {
      asker = authenticator.principalOf(request);
      const principal = onBehalfOf(asker, request.headers['luna-account-id']);
      const lambda = findLambda(registry, principal, lambdaId);
      checkHeaders(request.rawHeaders, lambda.active?.limits.header_bytes);
      const limit = lambda.active?.limits.request_bytes ?? 0;
      collectBody(request, limit, (collected) => {
        // An update may come while the body does: the version is the one that serves now.
        own.push('lambda-version', String(lambda.version));
        if ('tooLarge' in collected) {
          const outcome = tooLarge(collected.tooLarge, limit);
          invoke.refused('http', lambda, outcome);
          sendFailure(response, outcome, own);
        } else if ('broken' in collected)
          sendFailure(response, failure('canceled', 'the connection broke before the body was whole'), own);
        else
          void run(
            request,
            response,
            lambda,
            headOf(request, lambda, principal, requestId),
            collected.body,
            own,
          );
      });
    } catch (error) {
      if (error instanceof IsolambdaError && error.code === 'unauthorized') authenticator.refused(request);
      onRefused?.(error instanceof IsolambdaError ? error.code : 'internal');
      const delayMs = asker?.operator ? 0 : pacer.delayMs(asker?.accountId ?? addressOf(request));
      hold(response, delayMs, () => sendThrown(response, error, own));
    }
    return true;
  };

  /** Refusals of a flood are held back; all others, and all other failures, go at once. */
  function refuse(response: ServerResponse, outcome: Failure, lambda: LambdaEntry, own: string[]): void {
    const delayMs = PACED.has(outcome.kind) ? pacer.delayMs(lambda.accountId) : 0;
    hold(response, delayMs, () => sendFailure(response, outcome, own));
  }

  function run(
    request: IncomingMessage,
    response: ServerResponse,
    lambda: LambdaEntry,
    head: HttpHead,
    body: Uint8Array | ByteChunks,
    own: string[],
  ): void {
    void invoke({ source: 'http', lambda, head, body, signal: new ClientGone(response) }).then((outcome) => {
      if (response.destroyed) return;
      // While the host drains, its clients are told to take their next request elsewhere.
      if (!listens(request)) own.push('connection', 'close');
      if (outcome.kind === 'reply') sendReply(response, outcome, own);
      else refuse(response, outcome, lambda, own);
    });
  }
}

function hold(response: ServerResponse, delayMs: number, send: () => void): void {
  if (delayMs === 0) return send();
  setTimeout(() => {
    if (!response.destroyed) send();
  }, delayMs);
}

const addressOf = ({ socket }: IncomingMessage): string => socket.remoteAddress ?? '';

const PACED: ReadonlySet<string> = new Set(['rate_limited', 'concurrency_limit', 'queue_full']);

/** The operator may act for an account; a token's own account is all that anyone else may name. */
function onBehalfOf(principal: Principal | null, accountId: string | string[] | undefined): Principal | null {
  if (!principal || typeof accountId !== 'string' || principal.accountId === accountId) return principal;
  if (principal.operator) return { ...principal, accountId };
  throw new IsolambdaError('forbidden', 'Luna-Account-Id names another account than the token');
}

/** Node bounds the block by the largest limit of any account; this is the limit of the lambda's own. */
function checkHeaders(raw: readonly string[], limit: number | undefined): void {
  if (limit === undefined) return;
  let bytes = 0;
  // A colon and a space in each, and the line's end: two characters beside every text.
  for (const text of raw) bytes += text.length + 2;
  if (bytes > limit)
    throw new IsolambdaError(
      'headers_too_large',
      `the request's headers have ${bytes} bytes; header_bytes is ${limit}`,
    );
}

const listens = ({ socket }: IncomingMessage): boolean =>
  (socket as { server?: { listening?: boolean } }).server?.listening !== false;

/** The lambda that the path names, where the asker may invoke it. What is another account's does not exist. */
function findLambda(registry: Registry, principal: Principal | null, lambdaId: string): LambdaEntry {
  const lambda = registry.lambda(lambdaId);
  if (lambda?.routesAuth === 'public') return lambda;
  if (!principal) throw new IsolambdaError('unauthorized', 'no valid token came with the request');
  if (!principal.operator && !principal.scopes.has('invoke') && !principal.scopes.has('admin')) {
    throw new IsolambdaError('forbidden', 'the token lacks the scope "invoke"');
  }
  if (!lambda || !(principal.operator || lambda.shared || lambda.accountId === principal.accountId)) {
    throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
  }
  return lambda;
}

function headOf(
  request: IncomingMessage,
  lambda: LambdaEntry,
  principal: Principal | null,
  requestId: string,
): HttpHead {
  const target = request.url ?? '';
  const question = target.indexOf('?');
  const { traceparent } = request.headers;
  return {
    kind: 'http',
    requestId,
    accountId: principal?.accountId ?? lambda.accountId,
    deadlineMs: Date.now() + (lambda.active?.limits.timeout_ms ?? 0),
    ...(typeof traceparent === 'string' && { traceparent }),
    method: request.method ?? 'GET',
    path: target.slice(PROXY_AT + PROXY.length - 1, question === -1 ? undefined : question),
    query: question === -1 ? '' : target.slice(question + 1),
    headers: forwardedHeaders(request.rawHeaders, lambda.routesAuth === 'public'),
    clientIp: request.socket.remoteAddress ?? '',
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
