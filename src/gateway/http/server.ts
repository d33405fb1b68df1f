import helmet from '@fastify/helmet';
import { fastify, type FastifyInstance } from 'fastify';
import type { Registry } from '../../registry/types.ts';
import { authenticate } from './authenticate.ts';
import { errorServerOptions } from './errors.ts';

export interface HttpServerOptions {
  readonly registry: Registry;
  readonly authMode: 'token' | 'trusted-header';
  /** The largest header block that any account may send; bytes. */
  readonly headerBytes: number;
}

/** The server before its paths: timeouts against slow senders, limits, security headers, and who asks. */
export async function createHttpServer({ registry, authMode, headerBytes }: HttpServerOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...errorServerOptions,
    // Each request is counted and metered; a log line for each would cost more than the request.
    logger: false,
    bodyLimit: 1024 * 1024,
    connectionTimeout: 0,
    requestTimeout: 60_000,
    keepAliveTimeout: 72_000,
    // A request that came over a kept connection while the host drains was accepted: it is answered.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    http: { maxHeaderSize: headerBytes, headersTimeout: 10_000 },
  });
  authenticate(app, { registry, mode: authMode });
  await app.register(helmet, { global: false });
  return app;
}
