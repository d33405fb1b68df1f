import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { LIMIT_KEYS, LIMITS } from '../../src/config/limits.ts';
import { deployed, startApiHost, zipOf, type ApiHost } from './api-host.ts';

let host: ApiHost;
before(async () => {
  host = await startApiHost({
    file: { limits: { memory_mb: 512 } },
    api: { used: () => ({ account_concurrency: 3, queue: 1 }) },
  });
});
after(() => host.close());

const BAD_REQUEST = { statusCode: 400, errorCode: 43033 };

test('the operator makes, lists, renames and deletes accounts', async () => {
  const made = await host.operator.createAccount({ name: 'Acme Corporation' });
  const { account_id: accountId } = made.json;
  assert.deepEqual([made.statusCode, made.headers.get('location')], [201, `/1/accounts/${accountId}`]);
  const account = (await host.operator.getAccount(accountId)).json;
  assert.deepEqual([account.name, account.lambdas], ['Acme Corporation', 0]);
  assert.ok(Math.abs(Date.parse(account.created_at) - Date.now()) < 60_000);

  assert.equal(
    (await host.operator.patchAccount(accountId, { name: 'Acme Renamed' })).json.name,
    'Acme Renamed',
  );
  const found = (await host.operator.getAccounts({ name: 'acme ren' })).json;
  assert.deepEqual([found.total, found.items[0]?.account_id], [1, accountId]);
  assert.equal(
    (await host.operator.getAccounts({ name: 'acme', page: 2, pageSize: 1 })).json.items.length,
    0,
  );

  const { token } = (await host.operator.createToken(accountId, { scopes: ['admin'] })).json;
  const api = host.client(token);
  const lambdaId = await deployed(api);
  assert.equal((await host.operator.getAccount(accountId)).json.lambdas, 1);
  await host.operator.deleteAccount(accountId);
  await assert.rejects(host.operator.getAccount(accountId), { statusCode: 404, errorCode: 43036 });
  await assert.rejects(host.operator.getLambda({ lambdaId }), { statusCode: 404, errorCode: 42001 });
  await assert.rejects(api.getLambdas(), { statusCode: 401, errorCode: 43034 });
});

test('an account that lives elsewhere keeps its id, once', async () => {
  const accountId = randomUUID();
  const made = await host.operator.createAccount({ name: 'known', account_id: accountId.toUpperCase() });
  assert.equal(made.json.account_id, accountId);
  await assert.rejects(host.operator.createAccount({ name: 'again', account_id: accountId }), {
    statusCode: 409,
    errorCode: 43043,
  });
  await assert.rejects(host.operator.createAccount({ name: 'x', account_id: 'no uuid' }), BAD_REQUEST);
});

test('an account sees itself, and no other', async () => {
  const { api, accountId } = await host.account();
  await host.account();
  assert.deepEqual(
    (await api.getAccounts()).json.items.map(({ account_id }) => account_id),
    [accountId],
  );
  assert.equal((await api.getAccounts({ name: 'nobody' })).json.total, 0);
  assert.equal((await api.getAccount(accountId)).json.account_id, accountId);
});

test('names are refused that are empty, too long, or hold control characters', async () => {
  for (const name of ['', 'x'.repeat(129), 'a\nb', 'a\u0000b', 7 as never])
    await assert.rejects(host.operator.createAccount({ name }), BAD_REQUEST);
  assert.equal((await host.operator.createAccount({ name: 'x'.repeat(128) })).statusCode, 201);
});

test('a token is shown once, works, is listed without its text, and is revoked at once', async () => {
  const { api, accountId } = await host.account();
  const made = await api.createToken(accountId, { scopes: ['read'], name: 'ci' });
  const { token, token_id: tokenId } = made.json;
  assert.equal(made.headers.get('cache-control'), 'no-store');
  const reader = host.client(token);
  assert.equal((await reader.getLambdas()).statusCode, 200);

  const listed = await api.getTokens(accountId);
  assert.equal(listed.text.includes(token), false);
  const mine = listed.json.items.find(({ token_id }) => token_id === tokenId);
  assert.deepEqual(
    [mine?.name, mine?.scopes, mine?.expires_at, mine?.revoked_at],
    ['ci', ['read'], null, null],
  );
  assert.equal(listed.json.total, 2);
  assert.equal((await api.getTokens(accountId, { page: 2, pageSize: 1 })).json.items.length, 1);

  await api.revokeToken(accountId, tokenId);
  await assert.rejects(reader.getLambdas(), { statusCode: 401 });
  const after = (await api.getTokens(accountId)).json.items.find(({ token_id }) => token_id === tokenId);
  assert.notEqual(after?.revoked_at, null);
  await assert.rejects(api.revokeToken(accountId, randomUUID()), { statusCode: 404, errorCode: 43037 });
});

test('a token may expire, at a time with a zone that lies ahead', async () => {
  const { api, accountId } = await host.account();
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  const { json } = await api.createToken(accountId, { scopes: ['read'], expires_at });
  assert.equal(json.expires_at, expires_at);
  for (const wrong of ['2001-01-01T00:00:00Z', '2999-01-01T00:00:00', 'tomorrow', '2999-13-01T00:00:00Z'])
    await assert.rejects(api.createToken(accountId, { scopes: ['read'], expires_at: wrong }), BAD_REQUEST);
  for (const scopes of [[], ['root'], ['read', 'read']] as never[])
    await assert.rejects(api.createToken(accountId, { scopes }), BAD_REQUEST);
});

test('a quota shows everything that decides a limit, and takes effect at once', async () => {
  const { api, accountId } = await host.account();
  const before = (await api.getQuota(accountId)).json.limits;
  assert.deepEqual(Object.keys(before).sort(), [...LIMIT_KEYS].sort());
  for (const key of LIMIT_KEYS) assert.equal(before[key].default, LIMITS[key].default, key);
  assert.deepEqual(
    [before.memory_mb.ceiling, before.memory_mb.quota, before.memory_mb.in_force],
    [512, null, 128],
  );
  assert.deepEqual([before.account_concurrency.used, before.queue.used, before.lambdas.used], [3, 1, 0]);

  const set = await host.operator.putQuota(accountId, {
    memory_mb: 1_024,
    lambdas: 1,
    egress: ['*.example.com'],
    queues: ['orders'],
  });
  assert.deepEqual([set.json.limits.memory_mb.quota, set.json.limits.memory_mb.in_force], [1_024, 512]);
  assert.deepEqual(set.json.egress, ['*.example.com']);
  assert.deepEqual((await api.getQuota(accountId)).json.queues, ['orders']);
  const lambdaId = await deployed(api);
  assert.equal((await api.getLambda({ lambdaId })).json.limits.memory_mb.in_force, 512);
  await assert.rejects(api.createLambda({ archive: zipOf() }), { statusCode: 403, errorCode: 43041 });

  const reset = (await host.operator.putQuota(accountId, {})).json;
  assert.deepEqual(
    [reset.limits.memory_mb.quota, reset.limits.lambdas.in_force, reset.egress, reset.queues],
    [null, 100, [], []],
  );
});

test('a quota is refused whose limits are unknown, too small, or broken where they count', async () => {
  const { api, accountId } = await host.account();
  for (const quota of [
    { memory_mb: 7 },
    { memory_mb: 8.5 },
    { memory: 128 } as never,
    { cpu_cores: 0 },
    { queue: '1' } as never,
    { egress: ['no rule at all'] },
    { egress: ['10.0.0.0/99'] },
    { queues: [''] },
    { queues: ['orders.*'] },
    { queues: ['orders.#'] },
    { queues: ['amq.direct'] },
    { queues: ['a\u0000b'] },
    { queues: ['ä'.repeat(128)] },
    { queues: ['twice', 'twice'] },
    { queues: Array.from({ length: 257 }, (_, n) => `q${n}`) },
  ])
    await assert.rejects(host.operator.putQuota(accountId, quota), BAD_REQUEST, JSON.stringify(quota));
  assert.equal(
    (
      await host.operator.putQuota(accountId, {
        cpu_cores: 0.5,
        memory_mb: 8,
        queue: 0,
        queues: ['ä'.repeat(127), ...Array.from({ length: 255 }, (_, n) => `q${n}`)],
      })
    ).statusCode,
    200,
  );
  for (const quota of [{ memory_mb: 64 }, { queues: ['orders'] }])
    await assert.rejects(api.putQuota(accountId, quota), { statusCode: 403, errorCode: 43035 });
});

test("queues: an account's own by their prefix, others by the allow-list; a name that is another account's is refused", async () => {
  const { api, accountId } = await host.account('deploy', 'read');
  const other = randomUUID();
  const made = async (amqp: { queue?: string; dead_letter?: string }): Promise<string> =>
    (await api.createLambda({ archive: zipOf(), parameters: { amqp } })).json.lambda_id;
  const queueOf = async (lambdaId: string): Promise<string | null> =>
    (await api.getLambda({ lambdaId })).json.effective_queue;
  const theirs = { statusCode: 400, errorCode: 43033, detail: /no queue of this account.*quota/ };
  for (const amqp of [
    { queue: `${other}.orders` },
    { queue: `${other.toUpperCase()}.orders` },
    { dead_letter: `${other}.dead` },
  ])
    await assert.rejects(made(amqp), theirs, JSON.stringify(amqp));
  const lambdaId = await made({ queue: 'orders', dead_letter: 'dead' });
  assert.equal(await queueOf(lambdaId), `${accountId}.orders`);
  assert.equal(await queueOf(await made({ queue: `${accountId}.jobs` })), `${accountId}.jobs`);
  await assert.rejects(
    api.patchLambda({ lambdaId, parameters: { amqp: { queue: `${other}.orders` } } }),
    theirs,
  );

  await host.operator.putQuota(accountId, { queues: ['orders', `${other}.orders`] });
  assert.equal(await queueOf(lambdaId), 'orders', 'at once');
  assert.equal(await queueOf(await made({ queue: `${other}.orders` })), `${other}.orders`);
  await assert.rejects(made({ queue: `${other}.orders2` }), theirs, 'the whole name counts');
  await host.operator.putQuota(accountId, {});
  assert.equal(await queueOf(lambdaId), `${accountId}.orders`);
});

test('usage is summed over a span, in steps, for the account or one lambda', async () => {
  const { api, accountId } = await host.account();
  const record = { accountId, cpuUs: 500_000, wallUs: 1_000_000, memoryMb: 1_024, bytesIn: 10, bytesOut: 20 };
  const [one, other] = [randomUUID(), randomUUID()];
  host.registry.usage.invocation({ ...record, lambdaId: one, outcome: 'reply' });
  host.registry.usage.invocation({ ...record, lambdaId: one, outcome: 'timeout' });
  host.registry.usage.invocation({ ...record, lambdaId: other, outcome: 'reply' });
  host.registry.usage.egress({ accountId, lambdaId: one, bytes: 99 });

  const until = new Date(Date.now() + 60_000).toISOString();
  const all = (await api.getUsage(accountId, { until, step: 'minute' })).json;
  assert.deepEqual(all.total.outcomes, { reply: 2, timeout: 1 });
  const { invocations, cpu_seconds, bytes_in, bytes_out, egress_requests, egress_bytes } = all.total;
  assert.deepEqual(
    { invocations, cpu_seconds, bytes_in, bytes_out, egress_requests, egress_bytes },
    { invocations: 3, cpu_seconds: 1.5, bytes_in: 30, bytes_out: 60, egress_requests: 1, egress_bytes: 99 },
  );
  assert.ok(all.total.gb_seconds > 2.9 && all.total.gb_seconds < 3.3, String(all.total.gb_seconds));
  assert.equal(
    all.points.reduce((sum, point) => sum + point.invocations, 0),
    3,
  );
  assert.equal((await api.getUsage(accountId, { until, lambdaId: other })).json.total.invocations, 1);
  assert.equal((await api.getUsage(accountId, { until: '2001-01-02T00:00:00Z' })).json.total.invocations, 0);

  for (const wrong of [
    { since: 'yesterday' },
    { since: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' },
    { since: '2001-01-01T00:00:00Z', step: 'minute' as const },
    { step: 'week' as never },
  ])
    await assert.rejects(api.getUsage(accountId, wrong), BAD_REQUEST, JSON.stringify(wrong));
});
