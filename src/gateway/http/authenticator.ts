import type { IncomingMessage } from 'node:http';
import { IsolambdaError } from '../../errors/error.ts';
import type { Principal, Registry } from '../../registry/types.ts';
import { createFailureThrottle } from './failure-throttle.ts';

export interface AuthenticatorOptions {
  readonly registry: Registry;
  readonly mode: 'token' | 'trusted-header';
}

/**
 * Names who asks. Without a valid token there is no principal, and the path decides: a public lambda may be called
 * with an Authorization header of its own. An address that collected many 401 replies must wait, so that tokens
 * can't be guessed at.
 */
export interface Authenticator {
  /** Throws IsolambdaError `too_many_failures`. */
  principalOf(request: IncomingMessage): Principal | null;
  /** A request was answered with 401. */
  refused(request: IncomingMessage): void;
}

const ALL_SCOPES: Principal['scopes'] = new Set(['admin', 'deploy', 'invoke', 'read']);
const BEARER = /^Bearer ([\x21-\x7e]{1,512})$/i;

export function createAuthenticator({ registry, mode }: AuthenticatorOptions): Authenticator {
  const throttle = createFailureThrottle({ now: Date.now });
  const addressOf = ({ socket }: IncomingMessage): string => socket.remoteAddress ?? '';

  function byToken(request: IncomingMessage, authorization: string): Principal | null {
    const token = BEARER.exec(authorization)?.[1];
    const principal = token === undefined ? undefined : registry.authenticate(token);
    // A correct token is let through whatever its address did before: others behind the same address may have failed.
    if (principal) return principal;
    const waitMs = throttle.waitMs(addressOf(request));
    if (waitMs > 0)
      throw new IsolambdaError('too_many_failures', 'too many wrong tokens from this address', {
        retryAfterMs: waitMs,
      });
    return null;
  }

  /** The gateway before the host has authenticated the account: its header is believed. */
  function byHeader(request: IncomingMessage): Principal | null {
    const accountId = request.headers['luna-account-id'];
    if (typeof accountId !== 'string' || !registry.account(accountId)) return null;
    return { accountId, operator: false, scopes: ALL_SCOPES };
  }

  return {
    principalOf(request) {
      const { authorization } = request.headers;
      if (authorization !== undefined) return byToken(request, authorization);
      return mode === 'trusted-header' ? byHeader(request) : null;
    },
    refused(request) {
      if (request.headers.authorization !== undefined) throttle.failed(addressOf(request));
    },
  };
}
