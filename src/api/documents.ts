/** Texts that other parts of the host make: metrics, and a lambda's OpenAPI document. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { JsonObject } from '../schemas/index.ts';
import { ownLambda } from './asker.ts';
import type { ManagementApiOptions, TextDocument } from './options.ts';
import { binary, ForAccount, LambdaPath, replies } from './route-schema.ts';

const METRICS = binary('text/plain', 'Metrics in the text format of Prometheus.');

export const documentRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, metrics, lambdaMetrics, lambdaSpec },
) => {
  if (metrics)
    app.get(
      '/metrics',
      {
        config: { access: 'operator' },
        schema: {
          operationId: 'getMetrics',
          summary: "The host's metrics (operator)",
          tags: ['host'],
          response: replies({ 200: METRICS }),
        },
      },
      async (_request, reply) => {
        return sendDocument(reply, await metrics());
      },
    );

  if (lambdaMetrics)
    app.get(
      '/1/lambdas/:lambda_id/metrics',
      {
        config: { access: 'read' },
        schema: {
          operationId: 'getLambdaMetrics',
          summary: "A lambda's metrics",
          tags: ['lambdas'],
          params: LambdaPath,
          querystring: ForAccount,
          response: replies({ 200: METRICS }, ['lambda_not_found', 'not_ready', 'disabled', 'start_failed']),
        },
      },
      async (request, reply) =>
        sendDocument(reply, await lambdaMetrics(ownLambda(request, registry), request.requestId)),
    );

  if (lambdaSpec)
    app.get(
      '/1/lambdas/:lambda_id/docs/spec',
      {
        config: { access: 'read' },
        schema: {
          operationId: 'getDocsSpec',
          summary: 'The OpenAPI document that the lambda gives of itself',
          tags: ['lambdas'],
          params: LambdaPath,
          querystring: ForAccount,
          response: replies({ 200: JsonObject }, [
            'lambda_not_found',
            'not_ready',
            'disabled',
            'start_failed',
          ]),
        },
      },
      async (request, reply) => {
        const lambda = ownLambda(request, registry);
        return sendDocument(reply, await lambdaSpec(lambda, request.requestId));
      },
    );
};

const sendDocument = (reply: FastifyReply, { status, contentType, body }: TextDocument): FastifyReply =>
  reply
    .code(status)
    .type(contentType)
    .send(typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength));
