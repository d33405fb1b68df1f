import Sqlite from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { chmod } from 'node:fs/promises';
import { IsolambdaError } from '../errors/error.ts';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';

export interface OpenSqlite {
  readonly db: Database;
  /** Waits for what was asked before. */
  close(): Promise<void>;
}

/** Error `configuration` where the file is no database. */
export async function openSqlite(file: string): Promise<OpenSqlite> {
  let sqlite: Sqlite.Database | undefined;
  try {
    sqlite = new Sqlite(file);
    configure(sqlite);
    const db: Database = new Kysely<Schema>({ dialect: new SqliteDialect({ database: sqlite }) });
    await chmod(file, 0o600);
    return {
      db,
      close: () =>
        // One connection, first come first served: an empty turn comes after all that was asked before.
        db
          .connection()
          .execute(() => Promise.resolve())
          .then(() => db.destroy()),
    };
  } catch (error) {
    sqlite?.close();
    if (error instanceof Sqlite.SqliteError)
      throw new IsolambdaError('configuration', `the store ${file} can't be opened: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}

function configure(sqlite: Sqlite.Database): void {
  // Readers (a backup, the sqlite3 command) don't hold writers up; FULL syncs the log at each commit, so what was
  // acknowledged survives a power cut (NORMAL would lose the last commits).
  sqlite.pragma('journal_mode = wal');
  sqlite.pragma('synchronous = full');
  sqlite.pragma('foreign_keys = on');
  sqlite.pragma('busy_timeout = 5000');
}
