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
    cpu_seconds: Type.Number({ minimum: 0 }),
    gb_seconds: Type.Number({ minimum: 0, description: 'Memory limit times wall time.' }),
    bytes_in: count('Of request bodies.'),
    bytes_out: count('Of reply bodies.'),
    egress_requests: count(),
    egress_bytes: count('Sent and received.'),
  },
  { $id: 'UsageSums' },
);
export type UsageSums = Static<typeof UsageSums>;

export const UsagePoint = closed(
  { time: Timestamp, ...UsageSums.properties },
  { $id: 'UsagePoint', description: 'From `time`, for the length of one step.' },
);
export type UsagePoint = Static<typeof UsagePoint>;

export const USAGE_STEPS = ['minute', 'hour', 'day'] as const;
export const UsageView = closed(
  {
    account_id: Type.String(),
    since: Timestamp,
    until: Timestamp,
    step: oneOf(USAGE_STEPS),
    total: ref(UsageSums),
    points: Type.Array(ref(UsagePoint), { description: 'Oldest first; spans without a call are left out.' }),
  },
  { $id: 'Usage' },
);
export type UsageView = Static<typeof UsageView>;

export const UsageQuery = closed({
  since: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; a day ago by default.' })),
  until: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; now by default.' })),
  step: Type.Optional(oneOf(USAGE_STEPS, { default: 'hour' })),
  lambda_id: Type.Optional(Type.String({ maxLength: 64, description: 'Of this lambda alone.' })),
});
export type UsageQuery = Static<typeof UsageQuery>;
