/** What an account's invocations cost, over time. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { IsolambdaError } from '../errors/error.ts';
import type { UsageTotals } from '../registry/types.ts';
import { ref, UsageQuery, UsageView, type UsageSums as UsageSumsWire } from '../schemas/index.ts';
import { ownAccount } from './asker.ts';
import type { ManagementApiOptions } from './options.ts';
import { AccountPath, replies } from './route-schema.ts';
import { epochMs, timestamp } from './time.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const STEP_MS = { minute: MINUTE_MS, hour: 60 * MINUTE_MS, day: DAY_MS } as const;
/** A reply of more points helps nobody, and would be work without bound. */
const MAX_POINTS = 10_000;

export const usageRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (app, { registry }) => {
  app.get(
    '/1/accounts/:account_id/usage',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getUsage',
        summary: 'Invocations, CPU, memory and bytes of an account over time',
        tags: ['accounts'],
        params: AccountPath,
        querystring: UsageQuery,
        response: replies({ 200: ref(UsageView) }, ['bad_request', 'account_not_found']),
      },
    },
    async (request) => {
      const { id: accountId } = ownAccount(request, registry);
      const { since, until, step = 'hour', lambda_id: lambdaId } = request.query;
      const to = until === undefined ? Date.now() : epochMs(until, 'until');
      const from = since === undefined ? to - DAY_MS : epochMs(since, 'since');
      if (from >= to) throw new IsolambdaError('bad_request', 'since: must be before until');
      if ((to - from) / STEP_MS[step] > MAX_POINTS)
        throw new IsolambdaError(
          'bad_request',
          `since: more than ${MAX_POINTS} steps of one ${step}: ask for a shorter time, or a longer step`,
        );
      const { total, points } = await registry.usage.report({ accountId, lambdaId, from, to, step });
      return {
        account_id: accountId,
        since: timestamp(from),
        until: timestamp(to),
        step,
        total: sums(total),
        points: points.map((point) => ({ time: timestamp(point.time), ...sums(point) })),
      };
    },
  );
};

const sums = (totals: UsageTotals): UsageSumsWire => ({
  invocations: totals.invocations,
  outcomes: { ...(totals.outcomes as Record<string, number>) },
  cpu_seconds: totals.cpuSeconds,
  gb_seconds: totals.gbSeconds,
  bytes_in: totals.bytesIn,
  bytes_out: totals.bytesOut,
  egress_requests: totals.egressRequests,
  egress_bytes: totals.egressBytes,
});
