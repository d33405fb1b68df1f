import { Type, type Static } from 'typebox';
import {
  AnyJson,
  closed,
  forAccount,
  JsonObject,
  nullable,
  oneOf,
  pageOf,
  paging,
  ref,
  Timestamp,
  Uuid,
} from './common.ts';
import { lambdaEgress, lambdaLimits, LimitViews } from './limits.ts';

export const LAMBDA_TYPES = ['standalone', 'handlers', 'tasks', 'rpc'] as const;
export const LambdaTypeName = oneOf(LAMBDA_TYPES, {
  description:
    'What `lambda_main` exports: `main`, `main` with handler data, `LambdaTask`, or `lambda_handler`.',
});
export const LAMBDA_STATES = ['waiting', 'building', 'running', 'failed', 'disabled'] as const;
export const LambdaStateName = oneOf(LAMBDA_STATES);
export type LambdaState = Static<typeof LambdaStateName>;
export const RoutesAuth = oneOf(['account', 'public'], {
  description: '`public`: the lambda can be called without a token.',
});

export const LambdaName = Type.String({
  minLength: 1,
  maxLength: 128,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  examples: ['resize'],
});
const Description = Type.String({ maxLength: 1_024 });

/** How a lambda is served from a queue. */
export const AmqpParameters = closed(
  {
    queue: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 218,
        description:
          "By default the module's QUEUE_NAME. The account's prefix is put before it, unless the quota allows the account this very name.",
      }),
    ),
    durable: Type.Optional(Type.Boolean({ description: 'The queue survives a restart of the broker.' })),
    quorum: Type.Optional(Type.Boolean({ description: 'A quorum queue.' })),
    passive: Type.Optional(Type.Boolean({ description: 'The queue must be there already.' })),
    concurrency: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, description: 'Messages served at once.' }),
    ),
    prefetch: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: 'Messages taken before they are acknowledged.',
      }),
    ),
    dead_letter: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 218,
        description:
          "Takes messages that can't be served. The prefix is put before it as before the queue's.",
      }),
    ),
  },
  { $id: 'AmqpParameters' },
);
export type AmqpParameters = Static<typeof AmqpParameters>;

/** What can change without a new version. */
const changeable = {
  name: Type.Optional(LambdaName),
  description: Type.Optional(Description),
  shared: Type.Optional(Type.Boolean({ description: 'Any account may call it; only its owner manages it.' })),
  routes_auth: Type.Optional(RoutesAuth),
  debug_errors: Type.Optional(Type.Boolean({ description: 'Error replies hold the source-mapped stack.' })),
  amqp: Type.Optional(
    Type.Union([Type.Boolean(), AmqpParameters, Type.Null()], {
      description: 'Serve it from a queue: `true`, or how.',
    }),
  ),
};

/** The part `parameters` of an upload. */
export const LambdaParameters = closed(
  {
    lambda_type: Type.Optional(LambdaTypeName),
    handler: Type.Optional(
      Type.String({
        maxLength: 256,
        pattern: '^([^:]{1,128}:)?[A-Za-z_$][A-Za-z0-9_$]{0,127}$',
        description: 'Of an `rpc` lambda: the export to call, `[<module>:]<handler>`.',
      }),
    ),
    user_config: Type.Optional(JsonObject),
    ...changeable,
  },
  {
    $id: 'LambdaParameters',
    examples: [{ lambda_type: 'standalone', name: 'resize', user_config: { quality: 80 } }],
  },
);
export type LambdaParameters = Static<typeof LambdaParameters>;

/** The part `deploy_parameters` of an upload. */
export const DeployParameters = closed(
  {
    instances: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 64, description: 'Isolates side by side; 1 by default.' }),
    ),
    env: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' }),
        Type.String({ maxLength: 8_192 }),
        {
          additionalProperties: false,
          maxProperties: 256,
          description: "The lambda's environment.",
        },
      ),
    ),
    egress: Type.Optional(lambdaEgress),
    ...lambdaLimits,
  },
  { $id: 'DeployParameters', examples: [{ instances: 2, memory_mb: 64, env: { REGION: 'eu' } }] },
);
export type DeployParameters = Static<typeof DeployParameters>;

/** Body of `PATCH /1/lambdas/{id}`. */
export const LambdaPatch = closed(
  {
    ...changeable,
    user_config: Type.Optional(JsonObject),
    deploy_parameters: Type.Optional(DeployParameters),
  },
  { minProperties: 1, examples: [{ description: 'resizes pictures' }] },
);
export type LambdaPatch = Static<typeof LambdaPatch>;

export const LambdaCreated = closed(
  { lambda_id: Uuid, version: Type.Integer({ minimum: 1 }) },
  { $id: 'LambdaCreated' },
);
export type LambdaCreated = Static<typeof LambdaCreated>;

const lambdaFields = {
  lambda_id: Uuid,
  account_id: Uuid,
  name: Type.String(),
  description: Type.String(),
  lambda_type: LambdaTypeName,
  handler: nullable(Type.String()),
  shared: Type.Boolean(),
  alive: Type.Boolean({ description: 'False where it was switched off.' }),
  routes_auth: RoutesAuth,
  debug_errors: Type.Boolean(),
  amqp: Type.Union([Type.Null(), ref(AmqpParameters)]),
  effective_queue: nullable(
    Type.String({
      description:
        "The queue that it is served from: with the account's prefix, or of the names that its quota allows.",
    }),
  ),
  status: LambdaStateName,
  version: Type.Integer({
    minimum: 1,
    description: 'The version that serves; before the first has started, the latest.',
  }),
  latest_version: Type.Integer({ minimum: 1, description: 'The highest number given out.' }),
  created_at: Timestamp,
  updated_at: Timestamp,
};

export const LambdaSummary = closed(lambdaFields, { $id: 'LambdaSummary' });
export type LambdaSummary = Static<typeof LambdaSummary>;

export const Lambda = closed(
  {
    ...lambdaFields,
    status_detail: nullable(Type.String({ description: 'Why it is in that state.' })),
    user_config: AnyJson,
    deploy_parameters: ref(DeployParameters),
    limits: ref(LimitViews),
  },
  { $id: 'Lambda' },
);
export type Lambda = Static<typeof Lambda>;

export const LambdaList = pageOf(ref(LambdaSummary), 'LambdaList');
export type LambdaList = Static<typeof LambdaList>;

export const LambdaQuery = closed({
  ...paging,
  ...forAccount,
  name: Type.Optional(Type.String({ maxLength: 128, description: 'Part of the name, case ignored.' })),
  lambda_type: Type.Optional(LambdaTypeName),
  status: Type.Optional(LambdaStateName),
  shared: Type.Optional(Type.Boolean()),
});
export type LambdaQuery = Static<typeof LambdaQuery>;

/** Body of `POST /1/lambdas/{id}/switch`. */
export const Switch = closed({ alive: Type.Boolean() }, { examples: [{ alive: false }] });
export type Switch = Static<typeof Switch>;

/** Body of `POST /1/lambdas/{id}/rollback`. */
export const Rollback = closed({ version: Type.Integer({ minimum: 1 }) }, { examples: [{ version: 1 }] });
export type Rollback = Static<typeof Rollback>;
