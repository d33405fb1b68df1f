import { fastify, type FastifyInstance } from 'fastify';
import { authenticate } from './authenticate.ts';
import type { Authenticator } from './authenticator.ts';
import { DrainingServer } from './draining-server.ts';
import { errorServerOptions } from './errors.ts';
import type { LambdaEdge } from './lambda-edge.ts';
import { PipelineBound } from './pipeline-bound.ts';
import type { RefusalPacer } from './refusal-pacer.ts';

export interface HttpServerOptions {
  readonly authenticator: Authenticator;
  readonly lambdaEdge: LambdaEdge;
  readonly pacer: RefusalPacer;
  /** The largest header block that any account may send; bytes. */
  readonly headerBytes: number;
  /** Told of each reply of the management API. */
  readonly onApiReply?: ((method: string, route: string, status: number, ms: number) => void) | undefined;
  /** While it closes, a kept connection may still bring a request for so long; milliseconds. */
  readonly lingerMs?: number | undefined;
}

/** Kept connections of clients that send at least twice a second all get a reply that ends them. */
const LINGER_MS = 500;

/** The one HTTP server: requests into lambdas go to their edge, all others to the management API's framework. */
export function createHttpServer({
  authenticator,
  lambdaEdge,
  pacer,
  headerBytes,
  onApiReply,
  lingerMs = LINGER_MS,
}: HttpServerOptions): FastifyInstance {
  const pipeline = new PipelineBound();
  const app = fastify({
    ...errorServerOptions,
    // Each request is counted and metered; a log line for each would cost more than the request.
    logger: false,
    bodyLimit: 1024 * 1024,
    // A request that came over a kept connection while the host drains was accepted: it is answered.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    serverFactory: (framework) => {
      const limits = {
        maxHeaderSize: headerBytes,
        headersTimeout: 10_000,
        requestTimeout: 60_000,
        keepAliveTimeout: 72_000,
        noDelay: true,
      };
      return new DrainingServer(limits, lingerMs, (request, response) => {
        if (!pipeline.admits(request.socket, response)) return;
        if (!lambdaEdge(request, response)) framework(request, response);
      });
    },
  });
  app.addHook('preClose', async () => {
    if (app.server instanceof DrainingServer) app.server.drain();
  });
  app.addHook('onClose', async () => {
    if (app.server instanceof DrainingServer) app.server.drained();
  });
  // Whoever guesses at ids or tokens, or floods with what is refused, waits; the operator does not.
  app.addHook('onSend', (request, reply, _payload, done) => {
    const refused = reply.statusCode >= 400 && reply.statusCode < 500 && !request.principal?.operator;
    const delayMs = refused ? pacer.delayMs(request.principal?.accountId ?? request.ip) : 0;
    if (delayMs === 0) done();
    else setTimeout(done, delayMs);
  });
  if (onApiReply)
    app.addHook('onResponse', (request, reply, done) => {
      // The pattern: a path is the client's own text.
      onApiReply(request.method, request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime);
      done();
    });
  authenticate(app, authenticator);
  return app;
}
