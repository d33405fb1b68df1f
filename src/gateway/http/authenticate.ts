import type { FastifyInstance } from 'fastify';
import type { Authenticator } from './authenticator.ts';
import { requestIdOf } from './request-id.ts';
import './principal.ts';

/** Names who asks on every request of the management API, before its body is read. */
export function authenticate(app: FastifyInstance, authenticator: Authenticator): void {
  app.decorateRequest('principal', null);
  app.decorateRequest('requestId', '');
  app.addHook('onRequest', (request, reply, done) => {
    request.requestId = requestIdOf(request.raw.headers['luna-request-id']);
    reply.header('luna-request-id', request.requestId);
    request.principal = authenticator.principalOf(request.raw);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    if (reply.statusCode === 401) authenticator.refused(request.raw);
    done();
  });
}
