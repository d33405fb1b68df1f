import { fastify, type FastifyInstance } from 'fastify';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { authenticate } from './authenticate.ts';
import type { Authenticator } from './authenticator.ts';
import { errorServerOptions } from './errors.ts';
import type { LambdaEdge } from './lambda-edge.ts';

export interface HttpServerOptions {
  readonly authenticator: Authenticator;
  readonly lambdaEdge: LambdaEdge;
  /** The largest header block that any account may send; bytes. */
  readonly headerBytes: number;
}

const IDLE_SWEEP_MS = 100;

/** The one HTTP server: requests into lambdas go to their edge, all others to the management API's framework. */
export function createHttpServer({
  authenticator,
  lambdaEdge,
  headerBytes,
}: HttpServerOptions): FastifyInstance {
  const sockets = new Set<Socket>();
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
      const server = createServer(limits, (request, response) => {
        if (!lambdaEdge(request, response)) framework(request, response);
      });
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
      return server;
    },
  });
  // A connection that turns idle after the close began would hold it until its keep-alive ends; and one that never said
  // anything is not idle to Node, which waits for its first request.
  let sweep: NodeJS.Timeout | undefined;
  app.addHook('preClose', async () => {
    // Silent for one whole sweep: the first request of a new connection may just be on its way.
    let silent = new Set<Socket>();
    sweep = setInterval(() => {
      app.server.closeIdleConnections();
      for (const socket of silent) if (socket.bytesRead === 0) socket.destroy();
      silent = new Set([...sockets].filter(({ bytesRead }) => bytesRead === 0));
    }, IDLE_SWEEP_MS);
  });
  // Not on the server's own `close`: one that never listened has none.
  app.addHook('onClose', async () => clearInterval(sweep));
  authenticate(app, authenticator);
  return app;
}
