import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_LIMITS } from '../../src/config/limits.ts';
import type { RegistryEvents } from '../../src/registry/types.ts';
import { DIALECTS, insertLambda, openRegistry } from '../registry.ts';

const SERVICE = {
  enabled: true,
  address: 'http://127.0.0.1:9',
  credentials: { authorization: 'secret' },
  manifest: { methods: { save: { method: 'POST', path: '/save' } }, allow: [] },
  timeoutMs: 1,
  replyBytes: 1,
  accounts: [],
};

for (const dialect of DIALECTS)
  describe(`quotas, ${dialect}`, () => {
    test('a new quota is in force at once: new deployments, lists told, and after a restart too', async (t) => {
      const { registry, reopen } = await openRegistry(t, {
        dialect,
        config: { limits: { memory_mb: 256, lambdas: 3 }, services: {} },
      });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const lambdaId = await insertLambda(registry, accountId, {
        deployParameters: '{"limits":{"cpu_ms":50}}',
      });
      const lambda = registry.lambda(lambdaId)!;
      const before = lambda.active!;
      assert.equal(lambda.active, before, 'the same deployment until something changes');
      assert.deepEqual([before.limits.memory_mb, before.limits.cpu_ms], [128, 50]);
      assert.equal(registry.limits(accountId).cpu_ms, 1_000, "a lambda's wish is its own");

      const told: RegistryEvents['limitsChanged'][] = [];
      registry.on('limitsChanged', (event) => told.push(event));
      const view = await registry.setQuota(accountId, { memory_mb: 1_000, cpu_ms: 20, rate_per_s: 2_000 });
      // Above the default, under the operator's ceiling; the lambda can't have more than its account.
      assert.deepEqual([lambda.active.limits.memory_mb, lambda.active.limits.cpu_ms], [256, 20]);
      assert.notEqual(lambda.active, before);
      assert.equal(before.limits.memory_mb, 128, 'a deployment in use does not change');
      assert.equal(told[0]?.limits.rate_per_s, 2_000);
      assert.deepEqual(view.used, { lambdas: 1 });
      assert.deepEqual(view.quota, { memory_mb: 1_000, cpu_ms: 20, rate_per_s: 2_000 });

      assert.equal((await reopen()).registry.lambda(lambdaId)!.active!.limits.memory_mb, 256);
    });

    test('a bad quota is refused with each problem, and changes nothing', async (t) => {
      const { registry } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const bad = JSON.parse('{"memory_mb":-1,"cpu":5,"queue":1.5}') as object;
      await assert.rejects(
        registry.setQuota(accountId, bad),
        (error: { code?: string; problems?: unknown[] }) => {
          assert.equal(error.code, 'bad_request');
          assert.equal(error.problems?.length, 3);
          return true;
        },
      );
      assert.deepEqual(registry.limits(accountId), DEFAULT_LIMITS);
      await assert.rejects(registry.setQuota('nobody', {}), { code: 'account_not_found' });
    });

    test('the number of lambdas is bounded, uploads at the same time included', async (t) => {
      const { registry } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      await registry.setQuota(accountId, { lambdas: 2 });
      const results = await Promise.allSettled([1, 2, 3].map(() => insertLambda(registry, accountId)));
      assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'fulfilled', 'rejected']);
      assert.equal(registry.lambdaCount(accountId), 2);
      await registry.setQuota(accountId, { lambdas: 3 });
      await insertLambda(registry, accountId);
    });

    test('services and destinations are those that the operator gave the account', async (t) => {
      const { registry } = await openRegistry(t, { dialect });
      const [one, two] = [
        await registry.createAccount({ name: '1' }),
        await registry.createAccount({ name: '2' }),
      ];
      const first = registry.lambda(
        await insertLambda(registry, one.id, { deployParameters: '{"egress":["a.test"]}' }),
      )!;
      const second = registry.lambda(await insertLambda(registry, two.id))!;
      assert.deepEqual(first.active!.egress, [[], ['a.test']], 'nowhere, whatever the lambda wishes');
      assert.deepEqual(second.active!.services, {});

      registry.reconfigure({
        limits: { cpu_ms: 7 },
        services: { events: { ...SERVICE, accounts: [one.id] }, sender: { ...SERVICE, enabled: false } },
      });
      await registry.setQuota(one.id, {}, { egress: ['*.test'] });
      assert.deepEqual(first.active!.services, {
        events: { address: SERVICE.address, methods: SERVICE.manifest.methods },
      });
      assert.deepEqual(second.active!.services, {});
      assert.deepEqual(first.active!.egress, [['*.test'], ['a.test']]);
      assert.deepEqual(second.active!.egress, [[]]);
      assert.equal(second.active!.limits.cpu_ms, 7);
    });
  });

for (const dialect of DIALECTS)
  describe(`lists, ${dialect}`, () => {
    test('filters combine, pages hold still, and another account is never in them', async (t) => {
      const { registry, clock, reopen } = await openRegistry(t, { dialect });
      const one = await registry.createAccount({ name: 'One' });
      clock.time += 1;
      const two = await registry.createAccount({ name: 'two' });
      for (const index of [1, 2, 3, 4, 5])
        await insertLambda(registry, one.id, { name: `Resize-${index}`, shared: index > 3 });
      await insertLambda(registry, two.id, { name: 'resize-of-two' });
      await insertLambda(registry, one.id, { name: 'broken', state: 'failed', type: 'rpc' });

      const check = (where: typeof registry): void => {
        const names = (filter: object): string[] =>
          where.lambdas({ page: 1, pageSize: 10, ...filter }).items.map(({ name }) => name);
        const page = where.lambdas({ accountId: one.id, name: 'RESIZE', page: 2, pageSize: 2 });
        assert.deepEqual([page.items.map(({ name }) => name), page.total], [['Resize-3', 'Resize-4'], 5]);
        assert.deepEqual(names({ accountId: one.id, shared: true }), ['Resize-4', 'Resize-5']);
        assert.deepEqual(names({ accountId: one.id, state: 'failed', type: 'rpc' }), ['broken']);
        assert.deepEqual(names({ accountId: two.id }), ['resize-of-two']);
        assert.equal(names({}).length, 7);
        assert.deepEqual(names({ accountId: one.id, page: 9 }), []);
        assert.deepEqual(names({ accountId: 'nobody' }), []);
        assert.deepEqual(where.accounts({ page: 1, pageSize: 1, name: 'O' }), {
          items: [where.account(one.id)],
          total: 2,
          page: 1,
          pageSize: 1,
        });
      };
      check(registry);
      check((await reopen()).registry);
    });

    test('more lambdas than one page of loading are all there after a restart, in their order', async (t) => {
      const { registry, store, reopen } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const first = await insertLambda(registry, accountId);
      const record = { ...(await firstRecord(store)), activeVersion: null };
      // Many at the same millisecond: the order is still one.
      await store.transaction(async (tx) => {
        for (let index = 0; index < 4_500; index += 1)
          await tx.lambdas.insert({
            ...record,
            id: `m-${String(index).padStart(5, '0')}`,
            createdAt: 10 ** 9 + (index >> 11),
          });
      });
      const { registry: again } = await reopen();
      const ids = [...again.allLambdas()].map(({ id }) => id);
      assert.equal(ids.length, 4_501);
      assert.equal(new Set(ids).size, 4_501);
      assert.deepEqual(ids.slice(1), ids.slice(1).toSorted());
      assert.equal(ids[0], first);
    });
  });

for (const dialect of DIALECTS)
  describe(`changes, ${dialect}`, () => {
    test('listeners hear of each change after it is stored, and one that throws harms nobody', async (t) => {
      const failed: unknown[] = [];
      const { registry, store } = await openRegistry(t, {
        dialect,
        onError: (error) => void failed.push(error),
      });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const heard: string[] = [];
      registry.on('lambdaChanged', () => {
        throw new Error('a broken listener');
      });
      registry.on('lambdaChanged', ({ lambda, previous }) =>
        heard.push(`${lambda.name} ${previous?.version}`),
      );
      const stop = registry.on('lambdaDeleted', ({ lambda }) => heard.push(`deleted ${lambda.id}`));
      const id = await insertLambda(registry, accountId, { name: 'before' });
      await registry.changeLambda(id, { name: 'after', userConfig: '{"a":1}' });
      assert.deepEqual(heard, ['before undefined', 'before undefined', 'after 1']);
      assert.equal(failed.length, 3);
      assert.deepEqual(registry.lambda(id)!.userConfig, { a: 1 });
      assert.deepEqual(registry.lambda(id)!.active!.userConfig, { a: 1 });

      await registry.removeLambda(id);
      stop();
      assert.equal(registry.lambda(id), undefined);
      assert.equal(await store.versions.get(id, 1), undefined, 'versions go with it');
      assert.equal(heard.at(-1), `deleted ${id}`);
      await assert.rejects(registry.changeLambda(id, { name: 'ghost' }), { code: 'lambda_not_found' });
    });

    test('a change that can not be stored is not in memory either', async (t) => {
      const { registry } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const id = await insertLambda(registry, accountId, { name: 'before' });
      const change = registry.changeLambda(
        id,
        { name: 'after' },
        { write: () => Promise.reject(new Error('disk full')) },
      );
      await assert.rejects(change, /disk full/);
      assert.equal(registry.lambda(id)!.name, 'before');
      await registry.changeLambda(id, { name: 'next' });
      assert.equal(registry.lambda(id)!.name, 'next');
    });

    test('an account goes with its lambdas, tokens and usage', async (t) => {
      const { registry, reopen } = await openRegistry(t, { dialect });
      const [gone, stays] = [
        await registry.createAccount({ name: '1' }),
        await registry.createAccount({ name: '2' }),
      ];
      const id = await insertLambda(registry, gone.id);
      const other = await insertLambda(registry, stays.id);
      const { token } = await registry.createToken({ accountId: gone.id, scopes: ['admin'] });
      const call = {
        lambdaId: id,
        outcome: 'reply' as const,
        cpuUs: 1,
        wallUs: 1,
        memoryMb: 1,
        bytesIn: 1,
        bytesOut: 1,
      };
      registry.usage.invocation({ ...call, accountId: gone.id });
      await registry.usage.flush();

      const removed = await registry.removeAccount(gone.id);
      assert.deepEqual(
        removed.lambdas.map((lambda) => lambda.id),
        [id],
      );
      // One that was in flight ends after its account.
      registry.usage.invocation({ ...call, accountId: gone.id });
      await assert.rejects(registry.removeAccount(gone.id), { code: 'account_not_found' });
      for (const where of [registry, (await reopen()).registry]) {
        assert.equal(where.authenticate(token), undefined);
        assert.equal(where.lambda(id), undefined);
        assert.equal(where.account(gone.id), undefined);
        assert.ok(where.lambda(other));
      }
    });

    test('an account id that is taken is a conflict; a rename is kept', async (t) => {
      const { registry, reopen } = await openRegistry(t, { dialect });
      const { id } = await registry.createAccount({
        name: 'acme',
        id: '11111111-1111-4111-8111-111111111111',
      });
      await assert.rejects(registry.createAccount({ name: 'copy', id }), { code: 'conflict' });
      await registry.renameAccount(id, 'Acme Ltd');
      assert.equal((await reopen()).registry.account(id)?.name, 'Acme Ltd');
    });
  });

async function firstRecord(store: Awaited<ReturnType<typeof openRegistry>>['store']) {
  for await (const [first] of store.lambdas.load()) if (first) return first.lambda;
  throw new Error('no lambda is stored');
}
