import { Type, type Static } from 'typebox';
import { closed, oneOf, ref, Timestamp } from './common.ts';

const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description === undefined ? {} : { description }) });

/** What invocations cost, summed over a span of time. */
export const UsageSums = closed(
  {
    invocations: count(),
    outcomes: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
      description: 'Invocations by how they ended: `reply`, `timeout`, `cpu_limit`, ...',
    }),
    cpu_ms: Type.Number({ minimum: 0 }),
    request_bytes: count(),
    reply_bytes: count(),
  },
  { $id: 'UsageSums' },
);
export type UsageSums = Static<typeof UsageSums>;

export const UsagePoint = closed(
  { time: Timestamp, ...UsageSums.properties },
  { $id: 'UsagePoint', description: 'From `time`, for the length of one interval.' },
);
export type UsagePoint = Static<typeof UsagePoint>;

export const USAGE_INTERVALS = ['minute', 'hour', 'day'] as const;
export const UsageView = closed(
  {
    account_id: Type.String(),
    since: Timestamp,
    until: Timestamp,
    interval: oneOf(USAGE_INTERVALS),
    total: ref(UsageSums),
    points: Type.Array(ref(UsagePoint), { description: 'Oldest first; spans without a call are left out.' }),
  },
  { $id: 'Usage' },
);
export type UsageView = Static<typeof UsageView>;

export const UsageQuery = closed({
  since: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; a day ago by default.' })),
  until: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; now by default.' })),
  interval: Type.Optional(oneOf(USAGE_INTERVALS, { default: 'hour' })),
  lambda_id: Type.Optional(Type.String({ maxLength: 64, description: 'Of this lambda alone.' })),
});
export type UsageQuery = Static<typeof UsageQuery>;
