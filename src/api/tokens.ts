/** Tokens of an account: made by its admin or by the operator; the text is shown once. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { IsolambdaError } from '../errors/error.ts';
import type { TokenInfo } from '../registry/types.ts';
import {
  closed,
  paging,
  ref,
  TokenCreate,
  TokenCreated,
  TokenList,
  type Token as TokenWire,
} from '../schemas/index.ts';
import { ownAccount } from './asker.ts';
import type { ManagementApiOptions } from './options.ts';
import { pageRequest, pageView, slicePage } from './pages.ts';
import { present } from './present.ts';
import { AccountPath, NoContent, replies, TokenPath } from './route-schema.ts';
import { epochMs, timestamp } from './time.ts';

const TAGS = ['tokens'];
const TokensQuery = closed(paging);

export const tokenRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (app, { registry }) => {
  app.post(
    '/1/accounts/:account_id/tokens',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'createToken',
        summary: 'Make a token',
        description: 'Its text is in this reply and nowhere else: only its hash is kept.',
        tags: TAGS,
        params: AccountPath,
        body: TokenCreate,
        response: replies({ 201: ref(TokenCreated) }, ['bad_request', 'account_not_found']),
      },
    },
    async (request, reply) => {
      const { id: accountId } = ownAccount(request, registry);
      const { scopes, name, expires_at: expires } = request.body;
      const expiresAt = typeof expires === 'string' ? futureMs(expires) : undefined;
      const { token, info } = await registry.createToken({
        accountId,
        scopes,
        ...present({ name, expiresAt }),
      });
      return (
        reply
          .code(201)
          .header('location', `/1/accounts/${accountId}/tokens/${info.id}`)
          // A proxy in between must not keep it.
          .header('cache-control', 'no-store')
          .send({ ...tokenView(info), token })
      );
    },
  );

  app.get(
    '/1/accounts/:account_id/tokens',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'getTokens',
        summary: 'List tokens, those revoked included; never their texts',
        tags: TAGS,
        params: AccountPath,
        querystring: TokensQuery,
        response: replies({ 200: ref(TokenList) }, ['bad_request', 'account_not_found']),
      },
    },
    async (request) => {
      const { id } = ownAccount(request, registry);
      return pageView(slicePage(await registry.tokens(id), pageRequest(request.query)), tokenView);
    },
  );

  app.delete(
    '/1/accounts/:account_id/tokens/:token_id',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'revokeToken',
        summary: 'Revoke a token, at once',
        tags: TAGS,
        params: TokenPath,
        response: replies({ 204: NoContent }, ['account_not_found', 'token_not_found']),
      },
    },
    async (request, reply) => {
      const { id } = ownAccount(request, registry);
      await registry.revokeToken(id, request.params.token_id);
      return reply.code(204).send(null);
    },
  );
};

function futureMs(text: string): number {
  const at = epochMs(text, 'expires_at');
  if (at <= Date.now())
    throw new IsolambdaError('bad_request', `expires_at: ${text} has passed: the token would never be valid`);
  return at;
}

const tokenView = (token: TokenInfo): TokenWire => ({
  token_id: token.id,
  name: token.name,
  scopes: [...token.scopes],
  created_at: timestamp(token.createdAt),
  expires_at: token.expiresAt === null ? null : timestamp(token.expiresAt),
  revoked_at: token.revokedAt === null ? null : timestamp(token.revokedAt),
});
