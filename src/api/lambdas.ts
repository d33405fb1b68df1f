/** Lambdas: create, validate, list, look at, update, change, switch, delete. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { Upload } from '../deploy/types.ts';
import type { LambdaEntry } from '../registry/types.ts';
import {
  Lambda,
  LambdaCreated,
  LambdaList,
  LambdaPatch,
  LambdaQuery,
  Status,
  Switch,
  Validation,
  type Lambda as LambdaWire,
} from '../schemas/index.ts';
import { scopeCovers } from '../schemas/scopes.ts';
import { actingAccount, ownLambda, requireAccount } from './asker.ts';
import { lambdaView, problemView, statusView, summaryView } from './lambda-views.ts';
import { UPLOAD_BODY, UploadQuery } from './openapi/upload-body.ts';
import type { ManagementApiOptions } from './options.ts';
import { pageRequest, pageView } from './pages.ts';
import { checkEgress, parametersPatch, uploadDeployParameters, uploadParameters } from './parameters.ts';
import { checkAmqp } from './queue-names.ts';
import { ForAccount, LambdaPath, NoContent, replies } from './route-schema.ts';
import { readUpload } from './upload.ts';
import { ref } from '../schemas/index.ts';

const TAGS = ['lambdas'];
const UPLOAD_ERRORS = [
  'bad_request',
  'archive_refused',
  'validation',
  'archive_too_large',
  'unsupported_media_type',
  'build_failed',
  'account_not_found',
] as const;

export const lambdaRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, deployer, egressProblems, servesQueues },
) => {
  const view = (lambda: LambdaEntry, { principal }: FastifyRequest): LambdaWire =>
    lambdaView(lambda, {
      quota: registry.quota(lambda.accountId),
      status: deployer.status(lambda.id),
      withEnv: principal !== null && (principal.operator || scopeCovers(principal.scopes, 'deploy')),
    });

  const receive = async (request: FastifyRequest, accountId: string): Promise<Upload> => {
    const { archive_bytes: archiveBytes } = registry.limits(accountId);
    const { archive, parameters, deployParameters } = await readUpload(request, archiveBytes);
    checkEgress(deployParameters?.egress, egressProblems);
    checkAmqp(parameters.amqp, { registry, accountId, servesQueues });
    return {
      archive,
      parameters: uploadParameters(parameters),
      deployParameters: uploadDeployParameters(deployParameters, parameters.debug_errors),
    };
  };

  app.post(
    '/1/lambdas',
    {
      config: { access: 'deploy', documentedBody: UPLOAD_BODY },
      schema: {
        operationId: 'createLambda',
        summary: 'Create a lambda from an archive',
        description:
          'The archive is checked and kept before the reply; the lambda starts behind it: `GET .../status` tells when it runs.',
        tags: TAGS,
        querystring: UploadQuery,
        response: replies({ 201: ref(LambdaCreated) }, [...UPLOAD_ERRORS, 'quota_exceeded']),
      },
    },
    async (request, reply) => {
      const accountId = requireAccount(request, registry);
      const { lambdaId, version } = await deployer.create(accountId, await receive(request, accountId));
      return reply
        .code(201)
        .header('location', `/1/lambdas/${lambdaId}`)
        .send({ lambda_id: lambdaId, version });
    },
  );

  app.post(
    '/1/lambdas/validate',
    {
      config: { access: 'deploy', documentedBody: UPLOAD_BODY },
      schema: {
        operationId: 'validateLambda',
        summary: 'Say what is wrong with an archive, and keep nothing of it',
        tags: TAGS,
        querystring: UploadQuery,
        response: replies({ 200: ref(Validation) }, [
          'bad_request',
          'archive_too_large',
          'unsupported_media_type',
          'build_failed',
          'account_not_found',
        ]),
      },
    },
    async (request) => {
      const accountId = requireAccount(request, registry);
      const { valid, problems } = await deployer.validate(accountId, await receive(request, accountId));
      const views = problems.map(problemView);
      return {
        valid,
        errors: views.filter(({ severity }) => severity === 'error'),
        warnings: views.filter(({ severity }) => severity === 'warning'),
      };
    },
  );

  app.get(
    '/1/lambdas',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getLambdas',
        summary: 'List lambdas',
        tags: TAGS,
        querystring: LambdaQuery,
        response: replies({ 200: ref(LambdaList) }, ['bad_request']),
      },
    },
    async (request) => {
      const { name, lambda_type: type, status: state, shared, ...query } = request.query;
      const accountId = actingAccount(request);
      return pageView(
        registry.lambdas({ ...pageRequest(query), accountId, name, type, state, shared }),
        summaryView,
      );
    },
  );

  app.get(
    '/1/lambdas/:lambda_id',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getLambda',
        summary: 'One lambda, with its limits and what it uses of them',
        description: 'The values of `env` are shown to a token with the scope `deploy` only.',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        response: replies({ 200: ref(Lambda) }, ['lambda_not_found']),
      },
    },
    async (request) => view(ownLambda(request, registry), request),
  );

  app.put(
    '/1/lambdas/:lambda_id',
    {
      config: { access: 'deploy', documentedBody: UPLOAD_BODY },
      schema: {
        operationId: 'updateLambda',
        summary: 'Update a lambda to a new archive',
        description:
          'A new version, switched to when it has started; requests in flight finish on the old one. ' +
          'A version that does not build or start leaves the old one serving. Parameters left out stay as they are.',
        tags: TAGS,
        params: LambdaPath,
        querystring: UploadQuery,
        response: replies({ 200: ref(LambdaCreated) }, [
          ...UPLOAD_ERRORS,
          'lambda_not_found',
          'update_conflict',
        ]),
      },
    },
    async (request) => {
      const lambda = ownLambda(request, registry);
      const upload = await receive(request, lambda.accountId);
      const { lambdaId, version } = await deployer.update(lambda.id, upload);
      return { lambda_id: lambdaId, version };
    },
  );

  app.patch(
    '/1/lambdas/:lambda_id',
    {
      config: { access: 'deploy' },
      schema: {
        operationId: 'patchLambda',
        summary: 'Change parameters, without a new version',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        body: LambdaPatch,
        response: replies({ 200: ref(Lambda) }, ['bad_request', 'lambda_not_found', 'update_conflict']),
      },
    },
    async (request) => {
      const { id, accountId } = ownLambda(request, registry);
      checkEgress(request.body.deploy_parameters?.egress, egressProblems);
      checkAmqp(request.body.amqp, { registry, accountId, servesQueues });
      return view(await deployer.patch(id, parametersPatch(request.body)), request);
    },
  );

  app.delete(
    '/1/lambdas/:lambda_id',
    {
      config: { access: 'deploy' },
      schema: {
        operationId: 'deleteLambda',
        summary: 'Delete a lambda, with its versions and logs',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        response: replies({ 204: NoContent }, ['lambda_not_found']),
      },
    },
    async (request, reply) => {
      await deployer.delete(ownLambda(request, registry).id);
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/1/lambdas/:lambda_id/switch',
    {
      config: { access: 'deploy' },
      schema: {
        operationId: 'switchLambda',
        summary: 'Switch a lambda off or on',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        body: Switch,
        response: replies({ 200: ref(Lambda) }, ['bad_request', 'lambda_not_found', 'update_conflict']),
      },
    },
    async (request) => {
      const { id } = ownLambda(request, registry);
      return view(await deployer.switch(id, request.body.alive), request);
    },
  );

  app.get(
    '/1/lambdas/:lambda_id/status',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getStatus',
        summary: 'State of a lambda, and of each isolate that runs it',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        response: replies({ 200: ref(Status) }, ['lambda_not_found']),
      },
    },
    async (request) => statusView(deployer.status(ownLambda(request, registry).id)),
  );
};
