import { Type, type Static } from 'typebox';
import { closed, oneOf, ref } from './common.ts';

export const VersionView = closed(
  {
    version: Type.String({ description: 'Of isolambda.', examples: ['0.1.0'] }),
    api: Type.Integer({ description: 'The version in the paths.', examples: [1] }),
  },
  { $id: 'HostVersion' },
);
export type VersionView = Static<typeof VersionView>;

export const Health = closed({ status: oneOf(['ok']) }, { $id: 'Health' });
export type Health = Static<typeof Health>;

export const ReadinessCheck = closed(
  { ok: Type.Boolean(), detail: Type.String() },
  { $id: 'ReadinessCheck' },
);
export type ReadinessCheck = Static<typeof ReadinessCheck>;

export const Readiness = closed(
  {
    ready: Type.Boolean(),
    checks: Type.Record(Type.String(), ref(ReadinessCheck), {
      description: 'What was looked at: the store, the runners, the jail.',
    }),
  },
  { $id: 'Readiness' },
);
export type Readiness = Static<typeof Readiness>;
