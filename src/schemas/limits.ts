/** Limits on the wire: made from the one table of `src/config/limits.ts`. */
import { Type, type Static, type TOptional, type TUnsafe } from 'typebox';
import {
  LAMBDA_LIMIT_KEYS,
  LIMIT_KEYS,
  LIMITS,
  type LambdaLimitKey,
  type LimitKey,
} from '../config/limits.ts';
import { closed, nullable, ref } from './common.ts';

function value(key: LimitKey): TUnsafe<number> {
  const { unit, min, about, default: usual } = LIMITS[key];
  return Type.Unsafe<number>({
    // Only cores and rates come in fractions.
    type: unit === 'cores' || unit === 'per second' ? 'number' : 'integer',
    minimum: min,
    description: `${about} (${unit}; by default ${usual})`,
  });
}

const some = <K extends LimitKey>(keys: readonly K[]) =>
  Object.fromEntries(keys.map((key) => [key, Type.Optional(value(key))])) as Record<
    K,
    TOptional<TUnsafe<number>>
  >;

/** The limits that `deploy_parameters` may lower. */
export const lambdaLimits: Record<LambdaLimitKey, TOptional<TUnsafe<number>>> = some(LAMBDA_LIMIT_KEYS);

/** A destination of `fetch`. The finer rules are the host's: it answers with what is wrong with each. */
const EgressRule = Type.String({
  maxLength: 300,
  pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^:/\\[\\]\\s]+)(/\\d{1,3})?(:\\d{1,5})?$',
  examples: ['api.example.com', '*.example.com:443', '10.1.0.0/16:8080'],
});
export const accountEgress = Type.Array(EgressRule, {
  maxItems: 256,
  description:
    'Destinations of `fetch`: `host[:port]`, `*.host[:port]`, an address or a CIDR range. None by default.',
});
export const lambdaEgress = Type.Array(EgressRule, {
  maxItems: 256,
  description: "Narrows the account's destinations of `fetch`; all of them by default.",
});

/** The finer rules are the host's, see `checkQueueNames`. */
export const accountQueues = Type.Array(Type.String({ minLength: 1, maxLength: 255, examples: ['orders'] }), {
  maxItems: 256,
  uniqueItems: true,
  description:
    "Queues that lambdas may be served from beside those with the account's prefix: whole names, no wildcards. None by default.",
});

/** Body of `PUT /1/accounts/{id}/quota`: what it leaves out falls back to the default. */
export const Quota = closed(
  { ...some(LIMIT_KEYS), egress: Type.Optional(accountEgress), queues: Type.Optional(accountQueues) },
  {
    $id: 'Quota',
    description: 'Values for some limits. Those left out fall back to their defaults.',
    examples: [{ memory_mb: 256, account_rate_per_s: 5_000 }],
  },
);
export type Quota = Static<typeof Quota>;

/** One limit, with everything that decides it. */
export const LimitView = closed(
  {
    unit: Type.String(),
    about: Type.String(),
    default: Type.Number(),
    ceiling: nullable(Type.Number({ description: "The operator's, where there is one." })),
    quota: nullable(Type.Number({ description: "The account's, where it was set." })),
    requested: Type.Optional(nullable(Type.Number({ description: "The lambda's, from deploy_parameters." }))),
    in_force: Type.Number({ description: 'The least of them.' }),
    used: nullable(Type.Number({ description: 'Now, where that can be told.' })),
  },
  { $id: 'Limit' },
);
export type LimitView = Static<typeof LimitView>;

const LimitViewRef = ref(LimitView);
/** Every limit by its key. */
export const LimitViews = closed(
  Object.fromEntries(LIMIT_KEYS.map((key) => [key, LimitViewRef])) as Record<LimitKey, typeof LimitViewRef>,
  { $id: 'Limits', description: 'Every limit by its key.' },
);
export type LimitViews = Static<typeof LimitViews>;

export const QuotaView = closed(
  { account_id: Type.String(), limits: ref(LimitViews), egress: accountEgress, queues: accountQueues },
  { $id: 'AccountQuota' },
);
export type QuotaView = Static<typeof QuotaView>;
