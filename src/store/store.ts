import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IsolambdaError } from '../errors/error.ts';
import { accountsRepository, type AccountsRepository } from './accounts.ts';
import { openBlobCache } from './blob-cache.ts';
import type { Blobs } from './blobs.ts';
import { changesRepository, type ChangesRepository } from './changes.ts';
import { claimsRepository, everyClaim, type ClaimsRepository } from './claims.ts';
import { buildsRepository, type BuildsRepository } from './builds.ts';
import { lock, type Database } from './database.ts';
import { openFileBlobs } from './file-blobs.ts';
import { createHosts, type Hosts } from './hosts.ts';
import { lambdasRepository, type LambdasRepository } from './lambdas.ts';
import { lockDataDir } from './lock.ts';
import { metaRepository, type MetaRepository } from './meta.ts';
import { migrate } from './migrations.ts';
import { openPostgres } from './postgres.ts';
import { quotasRepository, type QuotasRepository } from './quotas.ts';
import { createSharedBlobs } from './shared-blobs.ts';
import { openSqlite } from './sqlite.ts';
import { taskClaimsRepository } from './task-claims.ts';
import type { TaskClaimsRepository } from './task-claim-types.ts';
import { tasksRepository, type TasksRepository } from './tasks.ts';
import type { Logger } from '../telemetry/log.ts';
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
  readonly tasks: TasksRepository;
  readonly taskClaims: TaskClaimsRepository;
  readonly meta: MetaRepository;
  readonly claims: ClaimsRepository;
  /** Of a shared store; nobody asks where there is no other host. */
  readonly changes: ChangesRepository;
}

/** What the host keeps across restarts. A write has reached the disk when its promise resolves. */
export interface Store extends Repositories {
  /** Absolute. */
  readonly dataDir: string;
  readonly blobs: Blobs;
  /** All of `work` or nothing. Only the repositories that it is given may be used inside: the others would wait for it. */
  transaction<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  /** As `transaction`, for changes of the registry: no other host changes it meanwhile. */
  exclusive<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  /** One picture of all tables, whatever other hosts write meanwhile. */
  snapshot<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  /** This host among those that share the store; undefined where it has its own. */
  readonly hosts: Hosts | undefined;
  /** Deletes blobs that no version refers to, of all or of those given; returns how many. */
  sweepBlobs(hashes?: readonly string[]): Promise<number>;
  /** Waits for writes under way and frees the data folder; idempotent. */
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly dataDir: string;
  /** `postgres://...`, for a store that several hosts share; empty or absent: SQLite in the data folder. */
  readonly url?: string | undefined;
  /** Of blobs of a shared store, kept in the data folder too. */
  readonly cacheBytes?: number | undefined;
  readonly log?: Pick<Logger, 'warn' | 'info'> | undefined;
}

const CACHE_BYTES = 1024 * 1024 * 1024;

/**
 * Opens, or makes, the store: `isolambda.db` and `blobs/` in the data folder, or, with `url`, tables in PostgreSQL and
 * `cache/` in the data folder, which belongs to this host alone either way.
 * Error `configuration` where another host has the folder, a later release has changed the store, or PostgreSQL can't be reached.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const dataDir = resolve(options.dataDir);
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new IsolambdaError('configuration', `the data folder ${dataDir} can't be made: ${String(cause)}`, {
      cause,
    });
  }
  const unlock = await lockDataDir(dataDir);
  try {
    const { url = '' } = options;
    return url === '' ? await openEmbedded(dataDir, unlock) : await openShared(dataDir, unlock, url, options);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function openEmbedded(dataDir: string, unlock: () => void): Promise<Store> {
  const sqlite = await openSqlite(join(dataDir, 'isolambda.db'));
  const { db } = sqlite;
  try {
    await migrate(db);
    const blobs = await openFileBlobs(join(dataDir, 'blobs'));
    const { versions } = repositories(db);
    const sweep = (hashes: readonly string[]): Promise<number> =>
      blobs.sweep(hashes, (some) => versions.referenced(some));
    return storeOf({ db, blobs, sweep, dataDir, close: () => sqlite.close().finally(unlock) });
  } catch (error) {
    await sqlite.close();
    throw error;
  }
}

async function openShared(
  dataDir: string,
  unlock: () => void,
  url: string,
  { cacheBytes = CACHE_BYTES, log }: StoreOptions,
): Promise<Store> {
  const postgres = await openPostgres(url);
  const { db } = postgres;
  try {
    await migrate(db, postgres.schema);
    const blobs = createSharedBlobs(db, await openBlobCache(join(dataDir, 'cache'), cacheBytes));
    const hosts = await createHosts({ postgres, dataDir, log });
    await hosts.join();
    return storeOf({
      db,
      blobs,
      sweep: (hashes) => blobs.sweep(hashes),
      hosts,
      dataDir,
      close: async () => {
        await hosts.leave();
        await postgres.close().finally(unlock);
      },
    });
  } catch (error) {
    await postgres.close();
    throw error;
  }
}

interface StoreParts {
  readonly db: Database;
  readonly blobs: Blobs;
  readonly sweep: (hashes: readonly string[]) => Promise<number>;
  readonly hosts?: Hosts;
  readonly dataDir: string;
  readonly close: () => Promise<void>;
}

function storeOf({ db, blobs, sweep, hosts, dataDir, close }: StoreParts): Store {
  let closing: Promise<void> | undefined;
  const transaction: Store['transaction'] = (work) =>
    db.transaction().execute((tx) => work(repositories(tx, hosts?.id)));
  return {
    ...repositories(db, hosts?.id),
    dataDir,
    blobs,
    hosts,
    transaction,
    exclusive: (work) =>
      db.transaction().execute(async (tx) => {
        await lock(tx, 'registry');
        return work(repositories(tx, hosts?.id));
      }),
    snapshot: (work) =>
      // SQLite's one connection gives it in any transaction, and knows no levels.
      hosts === undefined
        ? transaction(work)
        : db
            .transaction()
            .setIsolationLevel('repeatable read')
            .execute((tx) => work(repositories(tx, hosts.id))),
    async sweepBlobs(hashes) {
      if (hashes !== undefined) return sweep(hashes);
      let swept = 0;
      for await (const some of blobs.list()) swept += await sweep(some);
      return swept;
    },
    close: () => (closing ??= close()),
  };
}

function repositories(db: Database, hostId?: string): Repositories {
  return {
    accounts: accountsRepository(db),
    tokens: tokensRepository(db),
    quotas: quotasRepository(db),
    lambdas: lambdasRepository(db),
    versions: versionsRepository(db),
    builds: buildsRepository(db),
    usage: usageRepository(db),
    tasks: tasksRepository(db),
    taskClaims: taskClaimsRepository(db),
    meta: metaRepository(db),
    claims: hostId === undefined ? everyClaim : claimsRepository(db, hostId),
    changes: changesRepository(db),
  };
}
