import { Type, type Static } from 'typebox';
import { closed, nullable, oneOf, ref } from './common.ts';
import { LambdaStateName } from './lambda.ts';

/** One isolate of a lambda. */
export const Instance = closed(
  {
    state: oneOf(['starting', 'running', 'draining']),
    heap_bytes: Type.Integer({ minimum: 0 }),
    cpu_ms: Type.Number({ minimum: 0, description: 'Since it started.' }),
    requests: Type.Integer({ minimum: 0, description: 'Since it started.' }),
    in_flight: Type.Integer({ minimum: 0 }),
  },
  { $id: 'Instance' },
);
export type Instance = Static<typeof Instance>;

export const Status = closed(
  {
    lambda_id: Type.String(),
    status: LambdaStateName,
    detail: nullable(Type.String()),
    version: Type.Integer({ minimum: 1, description: 'The version that serves, or the latest.' }),
    update: nullable(
      closed({ version: Type.Integer({ minimum: 1 }), status: oneOf(['waiting', 'building', 'starting']) }),
    ),
    instances: Type.Array(ref(Instance), {
      description: 'Empty until the first call, and after a time without calls.',
    }),
  },
  { $id: 'Status' },
);
export type Status = Static<typeof Status>;
