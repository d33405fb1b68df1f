/** Accounts: the operator makes and removes them; an account reads its own. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Account as StoredAccount, Registry } from '../registry/types.ts';
import {
  Account,
  AccountCreate,
  AccountCreated,
  AccountList,
  AccountPatch,
  AccountQuery,
  ref,
  type Account as AccountWire,
} from '../schemas/index.ts';
import { ownAccount, principalOf } from './asker.ts';
import type { ManagementApiOptions } from './options.ts';
import { pageRequest, pageView, slicePage } from './pages.ts';
import { present } from './present.ts';
import { AccountPath, NoContent, replies } from './route-schema.ts';
import { timestamp } from './time.ts';

const TAGS = ['accounts'];

export const accountRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, deployer },
) => {
  const view = (account: StoredAccount): AccountWire => accountView(account, registry);

  app.post(
    '/1/accounts',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createAccount',
        summary: 'Make an account (operator)',
        tags: TAGS,
        body: AccountCreate,
        response: replies({ 201: ref(AccountCreated) }, ['bad_request', 'conflict']),
      },
    },
    async (request, reply) => {
      const { name, account_id: id } = request.body;
      const account = await registry.createAccount({ name, ...present({ id: id?.toLowerCase() }) });
      return reply.code(201).header('location', `/1/accounts/${account.id}`).send({ account_id: account.id });
    },
  );

  app.get(
    '/1/accounts',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getAccounts',
        summary: 'List accounts: all for the operator, its own for an account',
        tags: TAGS,
        querystring: AccountQuery,
        response: replies({ 200: ref(AccountList) }, ['bad_request']),
      },
    },
    async (request) => {
      const { operator, accountId } = principalOf(request);
      const { name, ...query } = request.query;
      const asked = pageRequest(query);
      if (operator) return pageView(registry.accounts({ ...asked, name }), view);
      const own = accountId === null ? undefined : registry.account(accountId);
      const fits = own !== undefined && own.name.toLowerCase().includes((name ?? '').toLowerCase());
      return pageView(slicePage(fits ? [own] : [], asked), view);
    },
  );

  app.get(
    '/1/accounts/:account_id',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getAccount',
        summary: 'One account',
        tags: TAGS,
        params: AccountPath,
        response: replies({ 200: ref(Account) }, ['account_not_found']),
      },
    },
    async (request) => view(ownAccount(request, registry)),
  );

  app.patch(
    '/1/accounts/:account_id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'patchAccount',
        summary: 'Rename an account (operator)',
        tags: TAGS,
        params: AccountPath,
        body: AccountPatch,
        response: replies({ 200: ref(Account) }, ['bad_request', 'account_not_found']),
      },
    },
    async (request) => {
      const { id } = ownAccount(request, registry);
      return view(await registry.renameAccount(id, request.body.name));
    },
  );

  app.delete(
    '/1/accounts/:account_id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'deleteAccount',
        summary: 'Delete an account with its lambdas, tokens and usage (operator)',
        tags: TAGS,
        params: AccountPath,
        response: replies({ 204: NoContent }, ['account_not_found']),
      },
    },
    async (request, reply) => {
      await deployer.deleteAccount(ownAccount(request, registry).id);
      return reply.code(204).send(null);
    },
  );
};

const accountView = (account: StoredAccount, registry: Registry): AccountWire => ({
  account_id: account.id,
  name: account.name,
  created_at: timestamp(account.createdAt),
  updated_at: timestamp(account.updatedAt),
  lambdas: registry.lambdaCount(account.id),
});
