import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { DeployRegistry, RegistryEvents } from '../../src/registry/types.ts';
import { query } from '../postgres.ts';
import { insertLambda, openHosts } from '../registry.ts';

/** Listens from the call on; resolves with the first event that fits. */
function heard<K extends keyof RegistryEvents>(
  registry: DeployRegistry,
  event: K,
  fits: (what: RegistryEvents[K]) => boolean = () => true,
): Promise<RegistryEvents[K]> {
  return new Promise((resolve) => {
    const stop = registry.on(event, (what) => {
      if (!fits(what)) return;
      stop();
      resolve(what);
    });
  });
}

const usage = (accountId: string) => ({
  accountId,
  lambdaId: 'l',
  outcome: 'reply' as const,
  cpuUs: 1,
  wallUs: 1,
  memoryMb: 1,
  bytesIn: 1,
  bytesOut: 1,
});

describe('hosts on one store', { timeout: 60_000 }, () => {
  test('what one host changes another has, and its listeners hear of it as of its own', async (t) => {
    const { hosts } = await openHosts(t, 2);
    const [one, two] = [hosts[0]!.registry, hosts[1]!.registry];

    const created = heard(two, 'accountCreated');
    const { id: accountId } = await one.createAccount({ name: 'acme' });
    assert.equal((await created).account.id, accountId);
    const renamed = heard(two, 'accountChanged');
    await one.renameAccount(accountId, 'Acme');
    assert.equal((await renamed).account.name, 'Acme');

    const limits = heard(two, 'limitsChanged');
    await one.setQuota(accountId, { memory_mb: 64 }, { egress: ['a.test'] });
    assert.equal((await limits).limits.memory_mb, 64);
    assert.deepEqual(two.quota(accountId).egress, ['a.test']);

    const serves = heard(two, 'lambdaChanged', ({ lambda }) => lambda.active !== undefined);
    const lambdaId = await insertLambda(one, accountId);
    const { lambda } = await serves;
    assert.equal(lambda.active?.limits.memory_mb, 64);
    assert.equal(two.lambdaCount(accountId), 1);

    const configured = heard(two, 'lambdaChanged');
    await one.changeLambda(lambdaId, { userConfig: '{"a":1}', shared: true });
    const change = await configured;
    assert.deepEqual(change.previous?.userConfig, {}, 'the deployment before is told');
    assert.deepEqual(
      [lambda.active?.userConfig, lambda.shared],
      [{ a: 1 }, true],
      'the entry changes in place',
    );
    const off = heard(two, 'lambdaChanged');
    await one.changeLambda(lambdaId, { alive: false });
    assert.deepEqual(
      [(await off).switchedOff, (await off).previous, lambda.state],
      [true, undefined, 'disabled'],
    );

    // Back: both write.
    const back = heard(one, 'lambdaChanged');
    await two.changeLambda(lambdaId, { alive: true });
    assert.equal((await back).lambda.state, 'running');

    const deleted = heard(two, 'lambdaDeleted');
    await one.removeLambda(lambdaId);
    assert.equal((await deleted).lambda.id, lambdaId);
    assert.equal(two.lambda(lambdaId), undefined);
    await assert.rejects(two.changeLambda(lambdaId, {}), { code: 'lambda_not_found' });
  });

  test('a token made on one host is known on another, and refused there once it is revoked; usage goes with its account', async (t) => {
    const { hosts, url } = await openHosts(t, 2);
    const [one, two] = [hosts[0]!.registry, hosts[1]!.registry];
    const { id: accountId } = await one.createAccount({ name: 'acme' });
    const { token, info } = await one.createToken({ accountId, scopes: ['read'] });
    // A change made here after it has seen all that was changed there.
    await two.renameAccount(accountId, 'Acme');
    assert.equal(two.authenticate(token)?.accountId, accountId);
    const revoked = heard(two, 'tokenRevoked');
    await one.revokeToken(accountId, info.id);
    assert.deepEqual(await revoked, { tokenId: info.id, accountId });
    assert.equal(two.authenticate(token), undefined);

    one.usage.invocation(usage(accountId));
    two.usage.invocation(usage(accountId));
    await one.usage.flush();
    await two.usage.flush();
    const now = Date.now();
    const query_ = { accountId, from: now - 120_000, to: now + 60_000, step: 'minute' as const };
    assert.equal((await one.usage.report(query_)).total.invocations, 2);
    two.usage.invocation(usage(accountId));
    const gone = heard(two, 'accountDeleted');
    await one.removeAccount(accountId);
    await gone;
    await hosts[1]!.close();
    assert.deepEqual((await query(url, 'select * from usage')).rows, []);
  });

  test('checks hold across hosts: of inserts at once no more pass than the quota allows; an id is taken once', async (t) => {
    const { hosts } = await openHosts(t, 3);
    const { id: accountId } = await hosts[0]!.registry.createAccount({ name: 'acme' });
    await hosts[0]!.registry.setQuota(accountId, { lambdas: 4 });
    const results = await Promise.allSettled(
      hosts.flatMap(({ registry }) => [1, 2, 3].map(() => insertLambda(registry, accountId))),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 4);
    for (const result of results)
      if (result.status === 'rejected')
        assert.equal((result.reason as { code?: string }).code, 'quota_exceeded');
    const id = '11111111-1111-4111-8111-111111111111';
    const made = await Promise.allSettled(
      hosts.map(({ registry }) => registry.createAccount({ name: 'x', id })),
    );
    assert.deepEqual(made.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected']);
  });

  test('concurrent changes of one lambda from several hosts are all kept', async (t) => {
    const { hosts } = await openHosts(t, 3);
    const { id: accountId } = await hosts[0]!.registry.createAccount({ name: 'acme' });
    const lambdaId = await insertLambda(hosts[0]!.registry, accountId);
    const add = (registry: DeployRegistry): Promise<unknown> =>
      registry.changeLambda(lambdaId, ({ userConfig }) => ({
        userConfig: JSON.stringify({ count: ((userConfig as { count?: number }).count ?? 0) + 1 }),
      }));
    await hosts[0]!.registry.catchUp();
    await Promise.all(hosts.flatMap(({ registry }) => Array.from({ length: 10 }, () => add(registry))));
    for (const { registry } of hosts) {
      await registry.catchUp();
      assert.deepEqual(registry.lambda(lambdaId)!.active!.userConfig, { count: 30 });
    }
  });

  test('a lost connection, a word that was missed, a log that was cut: it is caught up', async (t) => {
    const { hosts, url } = await openHosts(t, 2);
    const [one, two] = [hosts[0]!.registry, hosts[1]!.registry];
    // Whoever listens is thrown out, again and again: NOTIFY reaches nobody.
    const cut = (): Promise<unknown> =>
      query(
        url,
        "select pg_terminate_backend(pid) from pg_stat_activity where query ~ 'from hosts|into hosts|^listen' and pid <> pg_backend_pid() and datname = current_database() and application_name = $1",
        [`isolambda ${process.pid}`],
      );
    assert.ok(((await cut()) as { rowCount: number }).rowCount >= 2);
    const created = heard(two, 'accountCreated');
    const { id } = await one.createAccount({ name: 'acme' });
    await cut();
    assert.equal((await created).account.id, id);

    // As if it had been away for longer than the log is kept.
    await query(url, 'alter table accounts disable trigger note_change');
    await query(url, "update accounts set name = 'unseen' where id = $1", [id]);
    await query(url, 'alter table accounts enable trigger note_change');
    await query(url, "insert into meta select 'changes.pruned', max(seq) + 1 from changes");
    const seen = heard(two, 'accountChanged');
    await one.createAccount({ name: 'another' });
    assert.equal((await seen).account.name, 'unseen');
  });

  test('a row that somebody changes at psql is seen too', async (t) => {
    const { hosts, url } = await openHosts(t, 1);
    const { registry } = hosts[0]!;
    const { id } = await registry.createAccount({ name: 'acme' });
    const gone = heard(registry, 'accountDeleted');
    await query(url, 'delete from accounts where id = $1', [id]);
    assert.equal((await gone).accountId, id);
  });

  test("each host has its operator's token; a new one for one host leaves the others' alone", async (t) => {
    const { hosts } = await openHosts(t, 2);
    const tokens: string[] = [];
    for (const { registry, store } of [...hosts, hosts[0]!]) {
      const file = join(store.dataDir, 'operator.token');
      await registry.ensureOperatorToken(file);
      tokens.push((await readFile(file, 'utf8')).trim());
    }
    assert.equal(tokens[0], tokens[2]);
    assert.notEqual(tokens[0], tokens[1]);
    for (const { registry } of hosts) {
      await registry.catchUp();
      for (const token of tokens) assert.equal(registry.authenticate(token)?.operator, true);
    }
  });
});
