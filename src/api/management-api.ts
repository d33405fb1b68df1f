/** The management API: one plugin of routes for each resource, with their checks and their reference. */
import multipart from '@fastify/multipart';
import {
  TypeBoxValidatorCompiler,
  type FastifyPluginAsyncTypebox,
  type TypeBoxTypeProvider,
} from '@fastify/type-provider-typebox';
import { COMPONENTS } from '../schemas/index.ts';
import { checkAccess } from './asker.ts';
import { accountRoutes } from './accounts.ts';
import { configRoutes } from './config.ts';
import { documentRoutes } from './documents.ts';
import { hostRoutes } from './host.ts';
import { lambdaRoutes } from './lambdas.ts';
import { logRoutes } from './logs.ts';
import { documentRoutesOf } from './openapi/openapi.ts';
import { pages } from './openapi/pages.ts';
import type { ManagementApiOptions } from './options.ts';
import { quotaRoutes } from './quota.ts';
import { taskRoutes } from './tasks.ts';
import { tokenRoutes } from './tokens.ts';
import { acceptZipBodies } from './upload.ts';
import { usageRoutes } from './usage.ts';
import { versionRoutes } from './versions.ts';

export type { ManagementApiOptions } from './options.ts';

const RESOURCES = [
  lambdaRoutes,
  versionRoutes,
  configRoutes,
  logRoutes,
  taskRoutes,
  accountRoutes,
  tokenRoutes,
  quotaRoutes,
  usageRoutes,
  hostRoutes,
  documentRoutes,
];

/**
 * Register it without a wrapper of fastify-plugin: its validator, serialiser and body parsers are its own.
 * The request must carry `principal` and `requestId` by then, and the error handler must be in place.
 */
export const managementApi: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (root, options) => {
  const app = root.withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  // The handlers' types hold the replies to their schemas; a second, lenient pass over them would only hide a slip.
  app.setSerializerCompiler(() => JSON.stringify);
  for (const schema of COMPONENTS) app.addSchema(schema);
  await documentRoutesOf(root, options.version);
  // What is neither JSON nor an upload is no request of this API.
  app.removeContentTypeParser('text/plain');
  await app.register(multipart);
  acceptZipBodies(root);
  await app.register(resources, options);
  await app.register(pages);
};

/** Every route says who may use it; that is checked before a body is read. */
const resources: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (app, options) => {
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.access === undefined) throw new TypeError(`the route ${url} does not say who may use it`);
  });
  app.addHook('onRequest', (request, _reply, done) => {
    checkAccess(request.principal, request.routeOptions.config.access ?? 'operator');
    done();
  });
  for (const routes of RESOURCES) await app.register(routes, options);
};
