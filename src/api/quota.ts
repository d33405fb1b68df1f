/** An account's limits: everyone reads their own, the operator sets them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { QuotaView as Decided } from '../registry/types.ts';
import { Quota, QuotaView, ref, type QuotaView as QuotaWire } from '../schemas/index.ts';
import { ownAccount } from './asker.ts';
import { accountLimitViews } from './limit-views.ts';
import type { ManagementApiOptions } from './options.ts';
import { checkEgress } from './parameters.ts';
import { checkAllowedQueues } from './queue-names.ts';
import { AccountPath, replies } from './route-schema.ts';

const TAGS = ['accounts'];

export const quotaRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, used, egressProblems },
) => {
  const view = (accountId: string, quota: Decided): QuotaWire => ({
    account_id: accountId,
    limits: accountLimitViews(quota, { ...used?.(accountId), lambdas: quota.used.lambdas }),
    egress: [...quota.egress],
    queues: [...quota.queues],
  });

  app.get(
    '/1/accounts/:account_id/quota',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getQuota',
        summary: 'Every limit of an account: default, ceiling, quota, what is in force, what is used',
        tags: TAGS,
        params: AccountPath,
        response: replies({ 200: ref(QuotaView) }, ['account_not_found']),
      },
    },
    async (request) => {
      const { id } = ownAccount(request, registry);
      return view(id, registry.quota(id));
    },
  );

  app.put(
    '/1/accounts/:account_id/quota',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'putQuota',
        summary: "Set an account's quota (operator)",
        description: 'Takes effect at once. What is left out falls back to its default.',
        tags: TAGS,
        params: AccountPath,
        body: Quota,
        response: replies({ 200: ref(QuotaView) }, ['bad_request', 'account_not_found']),
      },
    },
    async (request) => {
      const { id } = ownAccount(request, registry);
      const { egress = [], queues = [], ...limits } = request.body;
      checkEgress(egress, egressProblems);
      checkAllowedQueues(queues);
      return view(id, await registry.setQuota(id, limits, { egress, queues }));
    },
  );
};
