/** Three hosts that share one registry through PostgreSQL. `npm run test:cluster` kills them, and holds them to their times. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { deploy, type TestAccount, type TestHost } from '../host.ts';
import { fixtureArchive } from '../folder-archive.ts';
import { apiOf, callOn, startHosts, untilFits } from '../hosts.ts';
import { ownSchema } from '../postgres.ts';

const reply = (version: number): string =>
  `import type { StandaloneLambdaRequest } from 'lambda-tools';\nexport async function main(request: StandaloneLambdaRequest) { return { version: ${version}, user: request.config.userConfig }; }\n`;

describe('three hosts on one store', { timeout: 120_000 }, () => {
  let hosts: TestHost[] = [];
  let account: TestAccount;
  const endings: (() => Promise<void>)[] = [];
  before(async () => {
    const url = await ownSchema({ after: (end) => endings.push(end) });
    hosts = await startHosts(url, 3);
    account = await hosts[0]!.account();
  });
  after(async () => {
    assert.deepEqual(await Promise.all(hosts.map((host) => host.stop())), [0, 0, 0]);
    for (const end of endings) await end();
  });
  const on = (index: number, lambdaId: string) => callOn(hosts[index]!, account.token, lambdaId);

  test('deployed on one, called on the others; updated, configured, switched and deleted from any', async (t) => {
    const lambdaId = await deploy(account.api, reply(1));
    for (const index of [1, 2]) {
      const ms = await untilFits(
        () => on(index, lambdaId),
        ({ status }) => status === 200,
      );
      t.diagnostic(`called on host ${index} ${Math.round(ms)} ms after it ran on host 0`);
    }
    const [second, third] = [apiOf(hosts[1]!, account.token), apiOf(hosts[2]!, account.token)];
    // Isolates of version 1 run on all hosts by now.
    const archive = Buffer.from((await third.getArchive({ lambdaId })).body);
    assert.ok(archive.byteLength > 0, 'the archive is in the store, not on one host');
    await third.putConfig({ lambdaId, config: { from: 'host 2' } });
    for (const index of [0, 1])
      await untilFits(
        () => on(index, lambdaId),
        ({ text }) => text.includes('"from":"host 2"'),
      );
    await second.switchLambda({ lambdaId, alive: false });
    await untilFits(
      () => on(0, lambdaId),
      ({ status }) => status === 409,
    );
    await second.switchLambda({ lambdaId, alive: true });
    await untilFits(
      () => on(0, lambdaId),
      ({ status }) => status === 200,
    );
    await second.deleteLambda({ lambdaId });
    for (const index of [0, 2])
      await untilFits(
        () => on(index, lambdaId),
        ({ status }) => status === 404,
      );
  });

  test('one task of one idempotency key, whichever hosts are asked at once', async () => {
    const { json } = await account.api.createLambda({
      archive: fixtureArchive('contract/tasks'),
      parameters: { lambda_type: 'tasks' },
    });
    await account.api.waitUntilRunning(json.lambda_id);
    const content = { lambda_id: json.lambda_id, parts: [] };
    const apis = hosts.map((host) => apiOf(host, account.token));
    for (const api of apis) await api.waitUntilRunning(json.lambda_id);
    const replies = await Promise.all(
      [...apis, ...apis, ...apis].map((api) => api.createTask({ content }, { idempotencyKey: 'one' })),
    );
    assert.equal(new Set(replies.map((reply) => reply.json.task_id)).size, 1);
  });

  test('a token that is revoked on one is refused on the others; each operator token works everywhere', async () => {
    const { json: made } = await hosts[1]!.operator.createToken(account.accountId, { scopes: ['read'] });
    const ask = (index: number) => async (): Promise<number> =>
      (
        await fetch(`${hosts[index]!.origin}/1/lambdas`, {
          headers: { authorization: `Bearer ${made.token}` },
        })
      ).status;
    for (const index of [0, 1, 2]) await untilFits(ask(index), (status) => status === 200);
    await hosts[0]!.operator.revokeToken(account.accountId, made.token_id);
    for (const index of [1, 2]) await untilFits(ask(index), (status) => status === 401);
  });

  test('a quota that one host is told holds on the others', async () => {
    await hosts[2]!.operator.putQuota(account.accountId, { lambdas: 0 });
    await untilFits(
      async () => (await hosts[0]!.operator.getQuota(account.accountId)).json.limits.lambdas.in_force,
      (lambdas) => lambdas === 0,
    );
    await assert.rejects(deploy(account.api, reply(1)), /lambdas/);
  });
});
