import assert from 'node:assert/strict';
import Sqlite from 'better-sqlite3';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { IsolambdaError } from '../../src/errors/error.ts';
import { openStore, type Store } from '../../src/store/store.ts';

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'isolambda-store-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

async function open(t: TestContext, dataDir: string): Promise<Store> {
  const store = await openStore({ dataDir });
  t.after(() => store.close());
  return store;
}

const configuration = (message: RegExp) => (error: unknown) =>
  error instanceof IsolambdaError && error.code === 'configuration' && message.test(error.message);

describe('opening the store', () => {
  test('a second host on the same folder is refused, and told which process has it', async (t) => {
    const dataDir = await folder(t);
    const store = await open(t, dataDir);
    await assert.rejects(
      openStore({ dataDir }),
      configuration(new RegExp(`process ${process.pid}\\b[^]*--data-dir`)),
    );
    await store.accounts.insert({ id: 'a', name: 'still works', createdAt: 1, updatedAt: 1 });

    await store.close();
    const again = await open(t, dataDir);
    assert.deepEqual(await again.accounts.all(), [
      { id: 'a', name: 'still works', createdAt: 1, updatedAt: 1 },
    ]);
  });

  test('nobody but its owner can read what is kept', async (t) => {
    const dataDir = join(await folder(t), 'made', 'here');
    const store = await open(t, dataDir);
    const blob = await store.blobs.put(Buffer.from('secret'));
    const modes = await Promise.all(
      [
        dataDir,
        join(dataDir, 'isolambda.db'),
        join(dataDir, 'blobs', blob.hash.slice(0, 2), blob.hash.slice(2)),
      ].map(async (path) => (await stat(path)).mode & 0o077),
    );
    assert.deepEqual(modes, [0, 0, 0]);
  });

  test('a folder that a later release has changed is refused', async (t) => {
    const dataDir = await folder(t);
    await (await openStore({ dataDir })).close();
    const db = new Sqlite(join(dataDir, 'isolambda.db'));
    db.prepare('insert into kysely_migration values (?, ?)').run('999-later', '2030-01-01');
    db.close();
    await assert.rejects(openStore({ dataDir }), configuration(/later release[^]*999-later/));
  });

  test('a folder of the first release is brought up to date: quotas stay, and allow no queues', async (t) => {
    const dataDir = await folder(t);
    const before = await openStore({ dataDir });
    await before.accounts.insert({ id: 'a', name: 'tenant', createdAt: 1, updatedAt: 1 });
    await before.close();
    const db = new Sqlite(join(dataDir, 'isolambda.db'));
    db.exec(
      'drop table subtasks; drop table tasks; drop table task_workers; alter table quotas drop column queues;' +
        "delete from kysely_migration where name >= '002'",
    );
    db.prepare('insert into quotas values (?, ?, ?, ?)').run('a', '{"memory_mb":64}', '["a.test"]', 1);
    db.close();
    const store = await open(t, dataDir);
    assert.deepEqual(await store.quotas.all(), [
      { accountId: 'a', quota: { limits: { memory_mb: 64 }, egress: ['a.test'], queues: [] } },
    ]);
  });

  test('a file that is no store is refused, and left as it was', async (t) => {
    const dataDir = await folder(t);
    const file = join(dataDir, 'isolambda.db');
    await writeFile(
      file,
      'these are my holiday notes, not a database, and they must stay as they are'.repeat(50),
    );
    const before = await readFile(file);
    await assert.rejects(openStore({ dataDir }), configuration(/can't be opened/));
    assert.deepEqual(await readFile(file), before);
    // The folder is free again.
    await rm(file);
    await open(t, dataDir);
  });

  test('a transaction that throws leaves nothing, and the next one works', async (t) => {
    const store = await open(t, await folder(t));
    await assert.rejects(
      store.transaction(async (tx) => {
        await tx.meta.set('key', 'lost');
        throw new Error('halfway');
      }),
      /halfway/,
    );
    assert.equal(await store.meta.get('key'), undefined);
    await Promise.all(['a', 'b', 'c'].map((key) => store.transaction((tx) => tx.meta.set(key, key))));
    assert.equal(await store.meta.get('c'), 'c');
  });

  test('close waits for what was asked before it', async (t) => {
    const dataDir = await folder(t);
    const store = await openStore({ dataDir });
    const written = store.transaction(async (tx) => {
      await tx.meta.set('key', 'written');
    });
    await store.close();
    await written;
    assert.equal(await (await open(t, dataDir)).meta.get('key'), 'written');
  });
});
