import { PostgresAdapter, sql, type Kysely, type RawBuilder } from 'kysely';
import type { Schema } from './schema.ts';

/** A connection or a transaction: repositories work on either. PostgreSQL comes through the same type. */
export type Database = Kysely<Schema>;

/** Values bound in one statement stay far below SQLite's bound (32,766) and PostgreSQL's (65,535). */
export const CHUNK = 500;

export function* chunks<T>(items: readonly T[], size = CHUNK): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

/** PostgreSQL's clock, epoch milliseconds: those of the hosts may differ. */
export const NOW_MS: RawBuilder<number> = sql`(extract(epoch from clock_timestamp()) * 1000)::bigint`;

/** Whether other hosts may write at the same time. */
export const isShared = (db: Database): boolean => db.getExecutor().adapter instanceof PostgresAdapter;

/**
 * Until the transaction ends, no other of the same store has the lock. SQLite's transactions run one after the other
 * anyway.
 */
export async function lock(
  tx: Database,
  name: 'registry' | 'usage-age' | `tasks of ${string}`,
): Promise<void> {
  if (!isShared(tx)) return;
  await sql`select pg_advisory_xact_lock(hashtextextended(current_schema() || ${`:isolambda:${name}`}, 0))`.execute(
    tx,
  );
}
