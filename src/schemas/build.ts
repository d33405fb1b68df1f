import { Type, type Static } from 'typebox';
import { closed, nullable, oneOf, pageOf, ref, Timestamp } from './common.ts';

/** One thing wrong, or worth a warning, in an archive. */
export const Problem = closed(
  {
    severity: oneOf(['error', 'warning']),
    rule: Type.String({ examples: ['route_parameters'] }),
    message: Type.String(),
    mend: Type.String(),
    file: Type.Optional(Type.String({ description: 'Path in the archive.', examples: ['lambda_main.ts'] })),
    line: Type.Optional(Type.Integer({ minimum: 1 })),
    column: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { $id: 'Problem' },
);
export type Problem = Static<typeof Problem>;

/** What `POST /1/lambdas/validate` says of an archive; nothing of it is kept. */
export const Validation = closed(
  {
    valid: Type.Boolean({ description: 'Whether it would deploy: no error among the problems.' }),
    errors: Type.Array(ref(Problem)),
    warnings: Type.Array(ref(Problem)),
  },
  { $id: 'Validation' },
);
export type Validation = Static<typeof Validation>;

export const VERSION_STATES = ['waiting', 'building', 'starting', 'ready', 'failed'] as const;
export const VersionStateName = oneOf(VERSION_STATES);

export const Version = closed(
  {
    version: Type.Integer({ minimum: 1 }),
    status: VersionStateName,
    active: Type.Boolean({ description: 'Whether this one serves.' }),
    archive_sha256: nullable(
      Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Null where nothing of the archive was kept.' }),
    ),
    archive_bytes: Type.Integer({ minimum: 0 }),
    bundle_bytes: Type.Integer({ minimum: 0, description: '0 until it is built.' }),
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { $id: 'Version' },
);
export type Version = Static<typeof Version>;
export const VersionList = pageOf(ref(Version), 'VersionList');
export type VersionList = Static<typeof VersionList>;

export const Build = closed(
  {
    lambda_id: Type.String(),
    version: Type.Integer({ minimum: 1 }),
    status: VersionStateName,
    log: Type.Array(closed({ time: Timestamp, message: Type.String() }), { description: 'Oldest first.' }),
    problems: Type.Array(ref(Problem)),
    started_at: nullable(Timestamp),
    ended_at: nullable(Timestamp),
  },
  { $id: 'Build' },
);
export type Build = Static<typeof Build>;
