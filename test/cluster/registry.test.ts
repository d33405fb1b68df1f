/** What several hosts on one store promise, with their times, and through kills of hosts and a restart of the database. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { archiveOf, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { apiOf, callOn, startHosts, untilFits } from '../hosts.ts';
import { startPostgres, type OwnPostgres } from '../postgres.ts';

const WITHIN_MS = 1_000;
const ROUNDS = 10;
const main = (text: string): string => `export async function main() { return ${JSON.stringify(text)}; }\n`;

describe('hosts on one store', { timeout: 600_000 }, () => {
  let server: OwnPostgres;
  let hosts: TestHost[] = [];
  let account: TestAccount;
  before(async () => {
    server = await startPostgres();
    hosts = await startHosts(server.url, 3, { 'build-concurrency': '1' });
    account = await hosts[0]!.account({ lambdas: 1_000, rate_per_s: 100_000, account_rate_per_s: 100_000 });
  });
  after(() => Promise.all(hosts.map((host) => host.stop())));
  const statusOn =
    (host: TestHost, lambdaId: string, token = account.token) =>
    async (): Promise<number> =>
      (await callOn(host, token, lambdaId)).status;

  function within(t: TestContext, what: string, times: readonly number[]): void {
    const sorted = times.toSorted((one, other) => one - other);
    t.diagnostic(
      `${what}: median ${Math.round(sorted[sorted.length >> 1]!)} ms, most ${Math.round(sorted.at(-1)!)} ms of ${times.length}`,
    );
    // The most is said, not held against a machine that others use too.
    assert.ok(sorted[sorted.length >> 1]! < WITHIN_MS, `${what} took ${sorted[sorted.length >> 1]} ms`);
  }

  test('deployed on A, called on B, within a second; deleted on B, 404 on A, within a second', async (t) => {
    const called: number[] = [];
    const gone: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const lambdaId = await deploy(account.api, main('x'));
      called.push(await untilFits(statusOn(hosts[1]!, lambdaId), (status) => status === 200));
      await apiOf(hosts[1]!, account.token).deleteLambda({ lambdaId });
      gone.push(await untilFits(statusOn(hosts[0]!, lambdaId), (status) => status === 404));
    }
    within(t, 'deploy to call', called);
    within(t, 'delete to 404', gone);
  });

  test('a token revoked on A is refused on B, a quota set on A holds on B, within a second', async (t) => {
    const lambdaId = await deploy(account.api, main('x'));
    const refused: number[] = [];
    const limited: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { json } = await hosts[0]!.operator.createToken(account.accountId, { scopes: ['invoke'] });
      await untilFits(statusOn(hosts[1]!, lambdaId, json.token), (status) => status === 200);
      await hosts[0]!.operator.revokeToken(account.accountId, json.token_id);
      refused.push(await untilFits(statusOn(hosts[1]!, lambdaId, json.token), (status) => status === 401));
      await hosts[0]!.operator.putQuota(account.accountId, { lambdas: 1_000, timeout_ms: 5_000 + round });
      limited.push(
        await untilFits(
          async () => (await hosts[1]!.operator.getQuota(account.accountId)).json.limits.timeout_ms.in_force,
          (limit) => limit === 5_000 + round,
        ),
      );
    }
    within(t, 'revocation', refused);
    within(t, 'quota', limited);
  });

  test('kill -9 of a host with builds in its queue: another builds them, and all that was acknowledged runs', async (t) => {
    const victim = hosts[2]!;
    const api = apiOf(victim, account.token);
    const uploads = Array.from({ length: 24 }, (_, index) =>
      api.createLambda({
        archive: archiveOf({ 'lambda_main.ts': main(`lambda ${index}`) }),
        parameters: { lambda_type: 'standalone' },
        deployParameters: {},
      }),
    );
    const acknowledged: string[] = [];
    let seen = 0;
    await new Promise<void>((resolve) => {
      for (const upload of uploads)
        void upload.then(
          ({ json }) => {
            acknowledged.push(json.lambda_id);
            if ((seen += 1) === 8) void victim.kill().then(resolve);
          },
          () => undefined,
        );
    });
    await Promise.allSettled(uploads);
    t.diagnostic(`${acknowledged.length} uploads were acknowledged before the kill`);
    const times: number[] = [];
    for (const lambdaId of acknowledged)
      times.push(await untilFits(statusOn(hosts[0]!, lambdaId), (status) => status === 200, 60_000));
    t.diagnostic(`all of them run after ${Math.round(times.reduce((sum, ms) => sum + ms, 0))} ms`);
    hosts[2] = await startTestHost({
      flags: { 'store-url': server.url, 'build-concurrency': '1' },
      dataDir: victim.dataDir,
    });
    await untilFits(statusOn(hosts[2], acknowledged[0]!), (status) => status === 200);
  });

  test('the database restarts: calls go on being served, a change is refused with 503, and works again after', async () => {
    const lambdaId = await deploy(account.api, main('x'));
    await untilFits(statusOn(hosts[1]!, lambdaId), (status) => status === 200);
    await server.stop();
    for (const host of hosts.slice(0, 2)) assert.equal(await statusOn(host, lambdaId)(), 200);
    const refused = await fetch(`${hosts[1]!.origin}/1/lambdas/${lambdaId}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${account.token}` },
    });
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /43050/);
    await server.start();
    await apiOf(hosts[1]!, account.token).deleteLambda({ lambdaId });
    await untilFits(statusOn(hosts[0]!, lambdaId), (status) => status === 404);
    for (const host of hosts) assert.equal((await host.operator.getHealth()).statusCode, 200);
  });
});
