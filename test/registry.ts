/** A real store and registry in a folder, and a schema of PostgreSQL, of their own, for tests; gone at the test's end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRegistry } from '../src/registry/registry.ts';
import type { DeployRegistry, RegistryOptions } from '../src/registry/types.ts';
import type { LambdaRecord } from '../src/store/lambdas.ts';
import { openStore, type Store } from '../src/store/store.ts';
import { serving, type VersionRecord } from '../src/store/versions.ts';
import { ownSchema, query } from './postgres.ts';

/** Each with a test of its own: the store keeps what it promises on both. */
export const DIALECTS = ['sqlite', 'postgres'] as const;
export type Dialect = (typeof DIALECTS)[number];

export interface OpenRegistry {
  readonly store: Store;
  readonly registry: DeployRegistry;
  /** The registry's clock, epoch milliseconds. */
  readonly clock: { time: number };
  /** Of PostgreSQL; empty for SQLite. */
  readonly url: string;
  /** Closes both and opens them again, as a restart does. */
  readonly reopen: () => Promise<OpenRegistry>;
}

export interface OpenOptions extends Partial<Omit<RegistryOptions, 'store' | 'now'>> {
  readonly dialect?: Dialect | undefined;
}

const ARCHIVE = 'a'.repeat(64);
const BUNDLE = 'b'.repeat(64);

export async function openRegistry(
  t: { after(end: () => Promise<void>): void },
  { dialect = 'sqlite', ...options }: OpenOptions = {},
): Promise<OpenRegistry> {
  const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-registry-'));
  const clock = { time: 1_700_000_000_000 };
  let close = async (): Promise<void> => undefined;
  t.after(async () => {
    await close();
    await rm(dataDir, { recursive: true, force: true });
  });
  // Dropped after the store is closed.
  const url = dialect === 'postgres' ? await ownSchema(t) : '';

  async function reopen(): Promise<OpenRegistry> {
    await close();
    const store = await openStore({ dataDir, url });
    if (url !== '') await putBlobs(url);
    const registry = await createRegistry({
      store,
      config: { limits: {}, services: {} },
      now: () => clock.time,
      ...options,
    });
    close = async () => {
      await registry.close();
      await store.close();
    };
    return { store, registry, clock, url, reopen };
  }
  return reopen();
}

/** Registries of so many hosts that share a new schema; each with a data folder of its own. */
export async function openHosts(
  t: { after(end: () => Promise<void>): void },
  count: number,
): Promise<{ url: string; hosts: { store: Store; registry: DeployRegistry; close: () => Promise<void> }[] }> {
  const hosts: { store: Store; registry: DeployRegistry; close: () => Promise<void> }[] = [];
  // Closed before the schema is dropped.
  t.after(async () => {
    await Promise.all(hosts.map(({ close }) => close()));
  });
  const url = await ownSchema(t);
  for (let index = 0; index < count; index += 1) {
    const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-registry-'));
    const store = await openStore({ dataDir, url });
    if (index === 0) await putBlobs(url);
    const registry = await createRegistry({ store, config: { limits: {}, services: {} } });
    let closing: Promise<void> | undefined;
    hosts.push({
      store,
      registry,
      close: () =>
        (closing ??= (async () => {
          await registry.close();
          await store.close();
          await rm(dataDir, { recursive: true, force: true });
        })()),
    });
  }
  return { url, hosts };
}

/** What `insertLambda` refers to: PostgreSQL refuses references to what is not there. */
async function putBlobs(url: string): Promise<void> {
  for (const hash of [ARCHIVE, BUNDLE])
    await query(url, 'insert into blobs values ($1, 1) on conflict do nothing', [hash]);
}

let made = 0;
/** Rows of a lambda whose first version serves, without an archive: for tests that run nothing. */
export async function insertLambda(
  registry: DeployRegistry,
  accountId: string,
  given: Partial<LambdaRecord> = {},
): Promise<string> {
  made += 1;
  const id = given.id ?? `lambda-${String(made).padStart(6, '0')}`;
  const version: VersionRecord = {
    lambdaId: id,
    version: 1,
    state: 'ready',
    type: 'standalone',
    handler: null,
    entry: 'main',
    queueName: null,
    lambdaConfig: '{"greeting":"hello"}',
    archiveHash: ARCHIVE,
    archiveBytes: 1,
    bundleHash: BUNDLE,
    bundleBytes: 1,
    settings: null,
    createdAt: made,
    updatedAt: made,
  };
  const record: LambdaRecord = {
    id,
    accountId,
    name: id,
    description: '',
    type: 'standalone',
    handler: null,
    shared: false,
    routesAuth: 'account',
    amqp: null,
    alive: true,
    state: 'running',
    stateDetail: '',
    activeVersion: null,
    latestVersion: 1,
    userConfig: '{}',
    deployParameters: '{}',
    createdAt: made,
    updatedAt: made,
    ...given,
  };
  await registry.insertLambda(record, (tx) => tx.versions.insert(version));
  if (record.state === 'running') await registry.changeLambda(id, {}, { serve: serving(version) });
  return id;
}
