import Sqlite from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IsolambdaError } from '../errors/error.ts';
import { accountsRepository, type AccountsRepository } from './accounts.ts';
import { openBlobs, type Blobs } from './blobs.ts';
import { buildsRepository, type BuildsRepository } from './builds.ts';
import type { Database } from './database.ts';
import { lambdasRepository, type LambdasRepository } from './lambdas.ts';
import { lockDataDir } from './lock.ts';
import { metaRepository, type MetaRepository } from './meta.ts';
import { migrate } from './migrations.ts';
import { quotasRepository, type QuotasRepository } from './quotas.ts';
import type { Schema } from './schema.ts';
import { tokensRepository, type TokensRepository } from './tokens.ts';
import { usageRepository, type UsageRepository } from './usage.ts';
import { versionsRepository, type VersionsRepository } from './versions.ts';

export interface Repositories {
  readonly accounts: AccountsRepository;
  readonly tokens: TokensRepository;
  readonly quotas: QuotasRepository;
  readonly lambdas: LambdasRepository;
  readonly versions: VersionsRepository;
  readonly builds: BuildsRepository;
  readonly usage: UsageRepository;
  readonly meta: MetaRepository;
}

/** What the host keeps across restarts. A write has reached the disk when its promise resolves. */
export interface Store extends Repositories {
  /** Absolute. */
  readonly dataDir: string;
  readonly blobs: Blobs;
  /** All of `work` or nothing. Only the repositories that it is given may be used inside: the others would wait for it. */
  transaction<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  /** Deletes blobs that no version refers to, of all or of those given; returns how many. */
  sweepBlobs(hashes?: readonly string[]): Promise<number>;
  /** Waits for writes under way and frees the data folder; idempotent. */
  close(): Promise<void>;
}

/**
 * Opens, or makes, the embedded store in `dataDir`: `isolambda.db` and `blobs/`.
 * Error `configuration` where another host has the folder, or a later release has changed it.
 */
export async function openStore(options: { readonly dataDir: string }): Promise<Store> {
  const dataDir = resolve(options.dataDir);
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new IsolambdaError('configuration', `the data folder ${dataDir} can't be made: ${String(cause)}`, {
      cause,
    });
  }
  const unlock = await lockDataDir(dataDir);
  const file = join(dataDir, 'isolambda.db');
  let sqlite: Sqlite.Database | undefined;
  try {
    sqlite = openSqlite(file);
    const db: Database = new Kysely<Schema>({ dialect: new SqliteDialect({ database: sqlite }) });
    await chmod(file, 0o600);
    await migrate(db);
    const blobs = await openBlobs(join(dataDir, 'blobs'));
    return storeOf(db, blobs, dataDir, unlock);
  } catch (error) {
    sqlite?.close();
    unlock();
    if (error instanceof Sqlite.SqliteError)
      throw new IsolambdaError('configuration', `the store ${file} can't be opened: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}

function openSqlite(file: string): Sqlite.Database {
  const sqlite = new Sqlite(file);
  // Readers (a backup, the sqlite3 command) don't hold writers up; FULL syncs the log at each commit, so what was
  // acknowledged survives a power cut (NORMAL would lose the last commits).
  sqlite.pragma('journal_mode = wal');
  sqlite.pragma('synchronous = full');
  sqlite.pragma('foreign_keys = on');
  sqlite.pragma('busy_timeout = 5000');
  return sqlite;
}

function storeOf(db: Database, blobs: Blobs, dataDir: string, unlock: () => void): Store {
  const own = repositories(db);
  let closing: Promise<void> | undefined;
  return {
    ...own,
    dataDir,
    blobs,
    transaction: (work) => db.transaction().execute((tx) => work(repositories(tx))),
    async sweepBlobs(hashes) {
      const referenced = (some: readonly string[]): Promise<Set<string>> => own.versions.referenced(some);
      if (hashes !== undefined) return blobs.sweep(hashes, referenced);
      let swept = 0;
      for await (const some of blobs.list()) swept += await blobs.sweep(some, referenced);
      return swept;
    },
    close: () =>
      // One connection, first come first served: an empty turn comes after all that was asked before.
      (closing ??= db
        .connection()
        .execute(() => Promise.resolve())
        .then(() => db.destroy())
        .finally(unlock)),
  };
}

function repositories(db: Database): Repositories {
  return {
    accounts: accountsRepository(db),
    tokens: tokensRepository(db),
    quotas: quotasRepository(db),
    lambdas: lambdasRepository(db),
    versions: versionsRepository(db),
    builds: buildsRepository(db),
    usage: usageRepository(db),
    meta: metaRepository(db),
  };
}
