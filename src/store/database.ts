import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** A connection or a transaction: repositories work on either. PostgreSQL comes through the same type. */
export type Database = Kysely<Schema>;

/** Values bound in one statement stay far below SQLite's bound (32,766) and PostgreSQL's (65,535). */
export const CHUNK = 500;

export function* chunks<T>(items: readonly T[], size = CHUNK): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}
