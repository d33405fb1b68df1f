/** The host itself: version, health, readiness. Open to all: load balancers ask without a token. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Health, Readiness, ref, VersionView } from '../schemas/index.ts';
import type { ManagementApiOptions } from './options.ts';
import { replies } from './route-schema.ts';

const TAGS = ['host'];
const API_VERSION = 1;

export const hostRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { version, readiness },
) => {
  app.get(
    '/version',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'getVersion',
        summary: 'Version of the host and of its API',
        tags: TAGS,
        response: replies({ 200: ref(VersionView) }, [], ['internal']),
      },
    },
    async () => ({ version, api: API_VERSION }),
  );

  app.get(
    '/healthcheck',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'getHealth',
        summary: 'Whether the process answers',
        tags: TAGS,
        response: replies({ 200: ref(Health) }, [], ['internal']),
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readiness',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'getReadiness',
        summary: 'Whether the host can serve lambdas: 503 while it can not',
        tags: TAGS,
        response: replies({ 200: ref(Readiness), 503: ref(Readiness) }, [], ['internal']),
      },
    },
    async (_request, reply) => {
      const checks = await readiness();
      const ready = Object.values(checks).every(({ ok }) => ok);
      return reply.code(ready ? 200 : 503).send({ ready, checks: { ...checks } });
    },
  );
};
