/** Versions of a lambda: list, roll back, build log, archive. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  Build,
  closed,
  forAccount,
  LambdaCreated,
  paging,
  ref,
  Rollback,
  VersionList,
} from '../schemas/index.ts';
import { ownLambda } from './asker.ts';
import { buildView, versionView } from './lambda-views.ts';
import type { ManagementApiOptions } from './options.ts';
import { pageRequest, pageView } from './pages.ts';
import { binary, ForAccount, LambdaPath, replies } from './route-schema.ts';

const TAGS = ['versions'];
const VersionsQuery = closed({ ...paging, ...forAccount });
const versionQuery = (description: string) =>
  closed({
    version: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 31, description })),
    ...forAccount,
  });
const BuildQuery = versionQuery('The latest by default.');
const ArchiveQuery = versionQuery('The one that serves, by default.');

export const versionRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, deployer },
) => {
  app.get(
    '/1/lambdas/:lambda_id/versions',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getVersions',
        summary: 'Versions that are kept, newest first',
        tags: TAGS,
        params: LambdaPath,
        querystring: VersionsQuery,
        response: replies({ 200: ref(VersionList) }, ['bad_request', 'lambda_not_found']),
      },
    },
    async (request) => {
      const { id } = ownLambda(request, registry);
      return pageView(await deployer.versions(id, pageRequest(request.query)), versionView);
    },
  );

  app.post(
    '/1/lambdas/:lambda_id/rollback',
    {
      config: { access: 'deploy' },
      schema: {
        operationId: 'rollbackLambda',
        summary: 'Serve an earlier version again',
        description: 'Answers when that version has started and serves.',
        tags: TAGS,
        params: LambdaPath,
        querystring: ForAccount,
        body: Rollback,
        response: replies({ 200: ref(LambdaCreated) }, [
          'bad_request',
          'update_failed',
          'lambda_not_found',
          'version_not_found',
          'archive_gone',
          'update_conflict',
        ]),
      },
    },
    async (request) => {
      const { id } = ownLambda(request, registry);
      const { lambdaId, version } = await deployer.rollback(id, request.body.version);
      return { lambda_id: lambdaId, version };
    },
  );

  app.get(
    '/1/lambdas/:lambda_id/build',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getBuild',
        summary: 'Build log and problems of a version',
        tags: TAGS,
        params: LambdaPath,
        querystring: BuildQuery,
        response: replies({ 200: ref(Build) }, ['bad_request', 'lambda_not_found', 'version_not_found']),
      },
    },
    async (request) => {
      const { id } = ownLambda(request, registry);
      return buildView(await deployer.build(id, request.query.version));
    },
  );

  app.get(
    '/1/lambdas/:lambda_id/archive',
    {
      config: { access: 'deploy' },
      schema: {
        operationId: 'getArchive',
        summary: 'The archive, as it was uploaded',
        tags: TAGS,
        params: LambdaPath,
        querystring: ArchiveQuery,
        response: replies({ 200: binary('application/zip', 'The zip.') }, [
          'bad_request',
          'lambda_not_found',
          'version_not_found',
          'archive_gone',
        ]),
      },
    },
    async (request, reply) => {
      // The code is its author's: a token that only reads must not carry it off.
      const { id } = ownLambda(request, registry);
      const { bytes, sha256, version } = await deployer.archive(id, request.query.version);
      return reply
        .type('application/zip')
        .header('content-disposition', `attachment; filename="${id}-${version}.zip"`)
        .header('etag', `"${sha256}"`)
        .header('lambda-version', String(version))
        .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );
};
