/** A real store and registry in a folder of their own, for tests; gone at the test's end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createRegistry } from '../src/registry/registry.ts';
import type { DeployRegistry, RegistryOptions } from '../src/registry/types.ts';
import type { LambdaRecord } from '../src/store/lambdas.ts';
import { openStore, type Store } from '../src/store/store.ts';
import { serving, type VersionRecord } from '../src/store/versions.ts';

export interface OpenRegistry {
  readonly store: Store;
  readonly registry: DeployRegistry;
  /** The registry's clock, epoch milliseconds. */
  readonly clock: { time: number };
  /** Closes both and opens them again, as a restart does. */
  readonly reopen: () => Promise<OpenRegistry>;
}

export async function openRegistry(
  t: Pick<TestContext, 'after'>,
  options: Partial<Omit<RegistryOptions, 'store' | 'now'>> = {},
): Promise<OpenRegistry> {
  const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-registry-'));
  const clock = { time: 1_700_000_000_000 };
  let close = async (): Promise<void> => undefined;
  t.after(async () => {
    await close();
    await rm(dataDir, { recursive: true, force: true });
  });

  async function reopen(): Promise<OpenRegistry> {
    await close();
    const store = await openStore({ dataDir });
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
    return { store, registry, clock, reopen };
  }
  return reopen();
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
    archiveHash: 'a'.repeat(64),
    archiveBytes: 1,
    bundleHash: 'b'.repeat(64),
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
