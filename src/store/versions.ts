import type { Selectable, Updateable } from 'kysely';
import type { LambdaType } from '../protocol/messages.ts';
import { chunks, type Database } from './database.ts';
import type { VersionsTable } from './schema.ts';
import type { ServingVersion } from './lambdas.ts';
import type { PageRequest, VersionState } from './types.ts';

export interface VersionRecord {
  readonly lambdaId: string;
  readonly version: number;
  readonly state: VersionState;
  readonly type: LambdaType;
  /** The handler asked for; null for the default. */
  readonly handler: string | null;
  /** The export that the bundle is called by; null until it is built. */
  readonly entry: string | null;
  readonly queueName: string | null;
  /** JSON; null until it is built. */
  readonly lambdaConfig: string | null;
  readonly archiveHash: string | null;
  readonly archiveBytes: number;
  readonly bundleHash: string | null;
  readonly bundleBytes: number;
  /** JSON: parameters that came with the archive, applied when the version begins to serve. */
  readonly settings: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export type VersionChange = Partial<Omit<VersionRecord, 'lambdaId' | 'version' | 'createdAt'>>;

export interface VersionsRepository {
  get(lambdaId: string, version: number): Promise<VersionRecord | undefined>;
  /** Newest first. */
  page(lambdaId: string, page: PageRequest): Promise<{ items: VersionRecord[]; total: number }>;
  /** Those that a stop or a kill left, oldest first. */
  unfinished(): Promise<VersionRecord[]>;
  insert(version: VersionRecord): Promise<void>;
  update(lambdaId: string, version: number, change: VersionChange): Promise<void>;
  /** Drops all but the newest `keep` and those in `spare`; returns the hashes that they referred to. */
  prune(lambdaId: string, keep: number, spare: readonly number[]): Promise<string[]>;
  /** Hashes that the versions of a lambda refer to. */
  hashesOf(lambdaId: string): Promise<string[]>;
  hashesOfAccount(accountId: string): Promise<string[]>;
  /** Which of these some version refers to. */
  referenced(hashes: readonly string[]): Promise<Set<string>>;
}

const UNFINISHED = ['waiting', 'building', 'starting'] as const satisfies VersionState[];
export const isUnfinished = (state: VersionState): boolean => UNFINISHED.some((each) => each === state);

export function versionsRepository(db: Database): VersionsRepository {
  return {
    async get(lambdaId, version) {
      const row = await db
        .selectFrom('versions')
        .selectAll()
        .where('lambda_id', '=', lambdaId)
        .where('version', '=', version)
        .executeTakeFirst();
      return row && record(row);
    },
    async page(lambdaId, { page, pageSize }) {
      const of = db.selectFrom('versions').where('lambda_id', '=', lambdaId);
      const { total } = await of
        .select((select) => select.fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      const rows = await of
        .selectAll()
        .orderBy('version', 'desc')
        .limit(pageSize)
        .offset((page - 1) * pageSize)
        .execute();
      return { items: rows.map(record), total };
    },
    async unfinished() {
      const rows = await db
        .selectFrom('versions')
        .selectAll()
        .where('state', 'in', UNFINISHED)
        .orderBy('created_at')
        .execute();
      return rows.map(record);
    },
    async insert(version) {
      await db.insertInto('versions').values(row(version)).execute();
    },
    async update(lambdaId, version, change) {
      await db
        .updateTable('versions')
        .set(columns(change))
        .where('lambda_id', '=', lambdaId)
        .where('version', '=', version)
        .execute();
    },
    async prune(lambdaId, keep, spare) {
      const versions = await db
        .selectFrom('versions')
        .select(['version', 'archive_hash', 'bundle_hash'])
        .where('lambda_id', '=', lambdaId)
        .orderBy('version', 'desc')
        .execute();
      const gone = versions.slice(keep).filter(({ version }) => !spare.includes(version));
      for (const { version } of gone)
        await db
          .deleteFrom('versions')
          .where('lambda_id', '=', lambdaId)
          .where('version', '=', version)
          .execute();
      return hashes(gone);
    },
    async hashesOf(lambdaId) {
      return hashes(
        await db
          .selectFrom('versions')
          .select(['archive_hash', 'bundle_hash'])
          .where('lambda_id', '=', lambdaId)
          .execute(),
      );
    },
    async hashesOfAccount(accountId) {
      return hashes(
        await db
          .selectFrom('versions')
          .innerJoin('lambdas', 'lambdas.id', 'versions.lambda_id')
          .select(['archive_hash', 'bundle_hash'])
          .where('account_id', '=', accountId)
          .execute(),
      );
    },
    async referenced(asked) {
      const found = new Set<string>();
      for (const some of chunks(asked)) {
        for (const column of ['archive_hash', 'bundle_hash'] as const) {
          const rows = await db
            .selectFrom('versions')
            .select(column)
            .distinct()
            .where(column, 'in', some)
            .execute();
          for (const each of rows as { archive_hash?: string | null; bundle_hash?: string | null }[]) {
            const hash = each[column];
            if (hash != null) found.add(hash);
          }
        }
      }
      return found;
    },
  };
}

/** A version that can serve has been built. */
export function serving(version: VersionRecord): ServingVersion | undefined {
  if (version.bundleHash === null || version.entry === null) return undefined;
  return {
    version: version.version,
    type: version.type,
    entry: version.entry,
    queueName: version.queueName,
    lambdaConfig: version.lambdaConfig ?? 'null',
    bundleHash: version.bundleHash,
  };
}

function hashes(rows: readonly { archive_hash: string | null; bundle_hash: string | null }[]): string[] {
  return [...new Set(rows.flatMap((each) => [each.archive_hash, each.bundle_hash]))].filter(
    (hash) => hash !== null,
  );
}

function record(from: Selectable<VersionsTable>): VersionRecord {
  return {
    lambdaId: from.lambda_id,
    version: from.version,
    state: from.state as VersionState,
    type: from.type as LambdaType,
    handler: from.handler,
    entry: from.entry,
    queueName: from.queue_name,
    lambdaConfig: from.lambda_config,
    archiveHash: from.archive_hash,
    archiveBytes: from.archive_bytes,
    bundleHash: from.bundle_hash,
    bundleBytes: from.bundle_bytes,
    settings: from.settings,
    createdAt: from.created_at,
    updatedAt: from.updated_at,
  };
}

function row(version: VersionRecord): VersionsTable {
  return {
    lambda_id: version.lambdaId,
    version: version.version,
    state: version.state,
    type: version.type,
    handler: version.handler,
    entry: version.entry,
    queue_name: version.queueName,
    lambda_config: version.lambdaConfig,
    archive_hash: version.archiveHash,
    archive_bytes: version.archiveBytes,
    bundle_hash: version.bundleHash,
    bundle_bytes: version.bundleBytes,
    settings: version.settings,
    created_at: version.createdAt,
    updated_at: version.updatedAt,
  };
}

/** Kysely leaves out what is undefined. */
function columns(change: VersionChange): Updateable<VersionsTable> {
  return {
    state: change.state,
    type: change.type,
    handler: change.handler,
    entry: change.entry,
    queue_name: change.queueName,
    lambda_config: change.lambdaConfig,
    archive_hash: change.archiveHash,
    archive_bytes: change.archiveBytes,
    bundle_hash: change.bundleHash,
    bundle_bytes: change.bundleBytes,
    settings: change.settings,
    updated_at: change.updatedAt,
  };
}
