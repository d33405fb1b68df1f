import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { IsolambdaError } from '../../src/errors/error.ts';
import { parsePostgresUrl } from '../../src/store/postgres-url.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { ownSchema, query, startPostgres } from '../postgres.ts';

/** A host's store: a data folder of its own on a shared schema. */
async function open(t: TestContext, url: string, cacheBytes?: number): Promise<Store> {
  const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-store-'));
  const store = await openStore({ dataDir, url, cacheBytes });
  t.after(async () => {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  return store;
}

const error = (code: string, message: RegExp) => (thrown: unknown) =>
  thrown instanceof IsolambdaError && thrown.code === code && message.test(thrown.message);
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a shared store', () => {
  test('hosts that start at once on an empty database migrate it once; a later release is refused', async (t) => {
    const url = await ownSchema(t);
    const stores = await Promise.all([open(t, url), open(t, url), open(t, url)]);
    await stores[0].meta.set('key', 'from the first');
    assert.equal(await stores[2].meta.get('key'), 'from the first');
    await query(url, "insert into kysely_migration values ('999-later', '2030')");
    await assert.rejects(open(t, url), error('configuration', /999-later[^]*another database/));
  });

  test('it opens while other schemas and their tables come and go', async (t) => {
    const [url, others] = [await ownSchema(t), await ownSchema(t)];
    let done = false;
    const comeAndGo = async (name: string): Promise<void> => {
      const columns = Array.from({ length: 40 }, (_, column) => `c${column} serial`).join(', ');
      while (!done) {
        await query(others, `create table ${name} (${columns})`);
        await query(others, `drop table ${name}`);
      }
    };
    const schemaComesAndGoes = async (): Promise<void> => {
      while (!done) {
        await query(others, 'create schema isolambda_test_passing create table t (c serial)');
        await query(others, 'drop schema isolambda_test_passing cascade');
      }
    };
    const coming = [...['a', 'b', 'c'].map(comeAndGo), schemaComesAndGoes()];
    try {
      for (let opened = 0; opened < 20; opened++) await open(t, url);
    } finally {
      done = true;
      await Promise.all(coming);
    }
  });

  test('a text with U+0000 is no internal error, and big numbers stay numbers', async (t) => {
    const store = await open(t, await ownSchema(t));
    const time = 1_700_000_000_000;
    await store.accounts.insert({ id: 'a', name: 'nul\0name', createdAt: time, updatedAt: time });
    assert.deepEqual(await store.accounts.all(), [
      { id: 'a', name: 'nul\ufffdname', createdAt: time, updatedAt: time },
    ]);
  });

  test('a transaction that throws leaves nothing; close waits for what was asked before it', async (t) => {
    const url = await ownSchema(t);
    const store = await open(t, url);
    await assert.rejects(
      store.transaction(async (tx) => {
        await tx.meta.set('key', 'lost');
        throw new Error('halfway');
      }),
      /halfway/,
    );
    assert.equal(await store.meta.get('key'), undefined);
    const written = Array.from({ length: 30 }, (_, index) =>
      store.transaction((tx) => tx.meta.set(`key ${index}`, 'written')),
    );
    await store.close();
    await Promise.all(written);
    const { rows } = await query(url, 'select count(*)::int as count from meta');
    assert.deepEqual(rows, [{ count: 30 }]);
  });

  test('what is checked against the limit on tasks holds while hosts create at once', async (t) => {
    const url = await ownSchema(t);
    const stores = await Promise.all([open(t, url), open(t, url)]);
    const policy = { maxAttempts: 1, backoffMs: 1, maxBackoffMs: 1, subtaskTimeoutMs: null };
    await stores[0].accounts.insert({ id: 'a', name: 'a', createdAt: 1, updatedAt: 1 });
    const create = (store: Store, id: number): Promise<boolean> =>
      store.transaction(async (tx) => {
        if ((await tx.tasks.held('a')).unfinished >= 3) return false;
        const task = { accountId: 'a', lambdaId: 'l', description: '', content: '{}', policy, createdAt: 1 };
        return tx.tasks.insert({ id, ...task });
      });
    const created = await Promise.all(
      Array.from({ length: 20 }, (_, index) => create(stores[index % 2]!, index + 1)),
    );
    assert.equal(created.filter(Boolean).length, 3);
  });

  test('usage of several hosts adds up, written at once in any order', async (t) => {
    const url = await ownSchema(t);
    const stores = await Promise.all([open(t, url), open(t, url), open(t, url)]);
    const counts = Array.from({ length: 200 }, (_, index) => ({
      accountId: 'a',
      lambdaId: `l${index}`,
      time: 0,
      outcome: 'reply',
      count: 1,
      cpuUs: 1,
      mbMs: 1,
      bytesIn: 1,
      bytesOut: 1,
    }));
    for (let round = 0; round < 5; round += 1)
      await Promise.all([
        stores[0].usage.add(counts),
        stores[1].usage.add(counts.toReversed()),
        stores[2].usage.add(counts.toSorted(() => Math.random() - 0.5)),
      ]);
    const eightDays = 8 * 86_400_000;
    await Promise.all(stores.map((store) => store.usage.age(eightDays)));
    const [sum] = await stores[0].usage.sums({ accountId: 'a', from: 0, to: 1, step: 'hour' });
    assert.equal(sum?.count, 5 * 3 * 200);
  });

  test('a URL that is wrong, and a server that is not there, are said with the mend and without the password', async (t) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-store-'));
    t.after(() => rm(dataDir, { recursive: true, force: true }));
    for (const [url, message] of [
      ['mysql://u:secret@h/db', /no URL of PostgreSQL/],
      ['postgres://u:secret@h', /names no database/],
      ['postgres://u:secret@h/db?sslmod=require', /unknown option "sslmod"/],
      ['postgres://u:secret@127.0.0.1:1/db', /can't be reached: .*ECONNREFUSED.*start PostgreSQL/],
      ['postgres://u:secret@h/db?sslrootcert=/nowhere/ca.pem', /\/nowhere\/ca\.pem/],
    ] as const)
      await assert.rejects(
        openStore({ dataDir, url }),
        (thrown) => error('configuration', message)(thrown) && !/secret/.test(String(thrown)),
        url,
      );
    assert.equal(parsePostgresUrl('postgres://u:secret@h/db').masked, 'postgres://u:****@h/db');
    const { ssl } = parsePostgresUrl('postgres://h/db?sslmode=verify-full').config;
    assert.deepEqual(Object.entries(ssl ?? { no: 'TLS' }), [], 'TLS with a verified certificate');
  });
});

describe('blobs in a shared store', () => {
  test('what one host puts another gets, in several chunks, and keeps in its folder', async (t) => {
    const url = await ownSchema(t);
    const [one, two] = await Promise.all([open(t, url), open(t, url)]);
    const bytes = randomBytes(2.5 * 1024 * 1024);
    const [put] = await Promise.all([one.blobs.put(bytes), one.blobs.put(bytes), two.blobs.put(bytes)]);
    assert.equal(put.hash, hashOf(bytes));
    assert.equal(put.bytes, bytes.byteLength);
    const third = await open(t, url);
    assert.deepEqual(await third.blobs.get(put.hash), bytes);
    const file = join(third.dataDir, 'cache', put.hash);
    assert.deepEqual(await readdir(join(third.dataDir, 'cache')), [put.hash]);
    // A damaged file of the cache is fetched anew; a damaged row is an error, never wrong bytes.
    await writeFile(file, 'jello');
    assert.deepEqual(await third.blobs.get(put.hash), bytes);
    await query(url, "update blob_chunks set bytes = 'jello' where part = 1");
    const fourth = await open(t, url);
    await assert.rejects(fourth.blobs.get(put.hash), /damaged/);
    await assert.rejects(fourth.blobs.get('0'.repeat(64)), /not in the store/);
    assert.equal((await one.blobs.put(Buffer.alloc(0))).bytes, 0);
    assert.equal((await two.blobs.get(hashOf(Buffer.alloc(0)))).length, 0);
  });

  test('the folder holds no more than it may: what was used longest ago goes first', async (t) => {
    const url = await ownSchema(t);
    const store = await open(t, url, 250);
    const [a, b, c] = [randomBytes(100), randomBytes(100), randomBytes(100)];
    await store.blobs.put(a);
    await store.blobs.put(b);
    await store.blobs.get(hashOf(a));
    await store.blobs.put(c);
    assert.deepEqual((await readdir(join(store.dataDir, 'cache'))).sort(), [hashOf(a), hashOf(c)].sort());
    assert.deepEqual(await store.blobs.get(hashOf(b)), b);
  });

  test("a sweep leaves what another host's fresh upload holds, until it gives it up", async (t) => {
    const url = await ownSchema(t);
    const [one, two] = await Promise.all([open(t, url), open(t, url)]);
    const bytes = randomBytes(10);
    const mine = await one.blobs.put(bytes);
    const theirs = await two.blobs.put(bytes);
    mine.release();
    assert.equal(await one.sweepBlobs([mine.hash]), 0);
    // Its host was killed: the hold ends by itself.
    await query(url, 'update blob_holds set until = 1');
    assert.equal(await one.sweepBlobs(), 1);
    assert.equal(await one.blobs.has(mine.hash), false);
    theirs.release();
  });

  test('puts and sweeps of the same blob from several hosts at once: who holds it has it', async (t) => {
    const url = await ownSchema(t);
    const stores = await Promise.all([open(t, url, 0), open(t, url, 0), open(t, url, 0)]);
    const bytes = randomBytes(1_000);
    for (let round = 0; round < 20; round += 1)
      await Promise.all(
        stores.map(async (store) => {
          const put = await store.blobs.put(bytes);
          await store.sweepBlobs([put.hash]);
          assert.deepEqual(await store.blobs.get(put.hash), bytes);
          put.release();
          await store.sweepBlobs([put.hash]);
        }),
      );
  });
});

test('the server goes away and comes back: calls fail as store_unavailable meanwhile, and work again after', async (t) => {
  const server = await startPostgres();
  const store = await open(t, server.url);
  await store.meta.set('key', 'before');
  await server.stop();
  await assert.rejects(store.meta.get('key'), error('store_unavailable', /does not answer/));
  await assert.rejects(
    store.transaction((tx) => tx.meta.set('key', 'meanwhile')),
    error('store_unavailable', /does not answer/),
  );
  await server.start();
  assert.equal(await store.meta.get('key'), 'before');
});
