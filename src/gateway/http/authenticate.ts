import type { FastifyInstance, FastifyRequest } from 'fastify';
import { IsolambdaError } from '../../errors/error.ts';
import type { Principal, Registry } from '../../registry/types.ts';
import { createFailureThrottle } from './failure-throttle.ts';
import { requestIdOf } from './request-id.ts';
import './principal.ts';

export interface AuthenticateOptions {
  readonly registry: Registry;
  readonly mode: 'token' | 'trusted-header';
}

const ALL_SCOPES: Principal['scopes'] = new Set(['admin', 'deploy', 'invoke', 'read']);

/**
 * Names who asks, on every request, before its body is read. Without a valid token `principal` stays null, and the
 * path decides: a public lambda may be called with an Authorization header of its own. An address that collected
 * many 401 replies must wait, so that tokens can't be guessed at.
 */
export function authenticate(app: FastifyInstance, { registry, mode }: AuthenticateOptions): void {
  const throttle = createFailureThrottle({ now: Date.now });
  app.decorateRequest('principal', null);
  app.decorateRequest('requestId', '');
  app.decorateRequest('lambda', null);

  app.addHook('onRequest', (request, reply, done) => {
    request.requestId = requestIdOf(request.raw.headers['luna-request-id']);
    reply.header('luna-request-id', request.requestId);
    const { authorization } = request.raw.headers;
    if (authorization !== undefined) {
      request.principal = byToken(request, authorization);
    } else if (mode === 'trusted-header') {
      request.principal = byHeader(request);
    }
    done();
  });

  function byToken(request: FastifyRequest, authorization: string): Principal | null {
    const token = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1];
    const principal = token === undefined ? undefined : registry.authenticate(token);
    // A correct token is let through whatever its address did before: others behind the same address may have failed.
    if (principal) return principal;
    const waitMs = throttle.waitMs(request.ip);
    if (waitMs > 0)
      throw new IsolambdaError('too_many_failures', 'too many wrong tokens from this address', {
        retryAfterMs: waitMs,
      });
    return null;
  }

  app.addHook('onResponse', (request, reply, done) => {
    if (reply.statusCode === 401 && request.raw.headers.authorization !== undefined)
      throttle.failed(request.ip);
    done();
  });

  /** The gateway before the host has authenticated the account: its header is believed. */
  function byHeader(request: FastifyRequest): Principal | null {
    const accountId = request.raw.headers['luna-account-id'];
    if (typeof accountId !== 'string' || !registry.account(accountId)) return null;
    return { accountId, operator: false, scopes: ALL_SCOPES };
  }
}
