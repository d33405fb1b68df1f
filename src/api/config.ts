/** A lambda's user configuration: the JSON object itself, both ways. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { JsonObject } from '../schemas/index.ts';
import { ownLambda } from './asker.ts';
import type { ManagementApiOptions } from './options.ts';
import { checkUserConfig, MAX_USER_CONFIG_BYTES } from './parameters.ts';
import { ForAccount, LambdaPath, replies } from './route-schema.ts';

const TAGS = ['configuration'];
/** A pretty-printed text is longer than the value that is kept. */
const BODY_BYTES = 4 * MAX_USER_CONFIG_BYTES;

export const configRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, deployer },
) => {
  app.get(
    '/1/lambdas/:lambda_id/config',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getConfig',
        summary: 'The user configuration',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        response: replies({ 200: JsonObject }, ['lambda_not_found']),
      },
    },
    async (request) => objectOf(ownLambda(request, registry).userConfig),
  );

  app.put(
    '/1/lambdas/:lambda_id/config',
    {
      bodyLimit: BODY_BYTES,
      config: { access: 'deploy' },
      schema: {
        operationId: 'putConfig',
        summary: 'Replace the user configuration',
        description: 'The next request of the lambda sees it; nothing is built anew.',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        body: JsonObject,
        response: replies({ 200: JsonObject }, ['bad_request', 'lambda_not_found', 'request_too_large']),
      },
    },
    async (request) => {
      const { id } = ownLambda(request, registry);
      checkUserConfig(request.body, 'the configuration');
      return objectOf((await deployer.setUserConfig(id, request.body)).userConfig);
    },
  );
};

/** A lambda that was never configured has an empty one. */
const objectOf = (config: unknown): Record<string, unknown> =>
  typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {};
