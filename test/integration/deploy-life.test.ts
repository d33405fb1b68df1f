/** From upload to serving, with the real builder and jailed runners. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lambdaZip, realPool, rig, zipOf, type RealPool, type Rig } from './deploy-rig.ts';

const ECHO = 'export async function main(request: any) { return { version: 1, got: request.json }; }';
const SETTINGS = { parameters: { name: 'echo' }, deployParameters: {} };

describe('deploying', { timeout: 120_000 }, () => {
  let real: Awaited<ReturnType<typeof realPool>>;
  before(async () => {
    real = await realPool();
  });
  after(() => real.close());

  test('an archive that is acknowledged is stored, built, started, and answers; a restart serves it without a build', async (t) => {
    const host = await rig(t, real);
    const archive = lambdaZip(ECHO);
    const { lambdaId, version } = await host.deployer.create(host.accountId, { ...SETTINGS, archive });
    assert.equal(version, 1);
    assert.ok(['building', 'running'].includes(host.registry.lambda(lambdaId)!.state));

    const build = await host.deployer.wait(lambdaId);
    assert.equal(build.state, 'ready', JSON.stringify(build));
    assert.deepEqual(
      build.log.map(({ message }) => message.replace(/\d+/, 'N')),
      ['building', 'built', 'starting', 'started in N ms', 'serving'],
    );
    assert.equal(host.registry.lambda(lambdaId)!.state, 'running');
    assert.deepEqual(await callOf(real, host, lambdaId, { a: 1 }), { version: 1, got: { a: 1 } });
    assert.equal(host.deployer.status(lambdaId).instances.length, 1);
    const kept = await host.deployer.archive(lambdaId);
    assert.deepEqual(Buffer.from(kept.bytes), Buffer.from(archive));

    const noBuilds = { build: () => assert.fail('nothing is built again'), close: async () => undefined };
    const again = await host.restart({ builder: noBuilds });
    assert.equal(again.registry.lambda(lambdaId)!.state, 'running');
    assert.deepEqual(await callOf(real, again, lambdaId), { version: 1, got: {} });
  });

  test('a new version takes over once it has started; rollback, a dropped version, and one that never was', async (t) => {
    const host = await rig(t, real);
    await host.registry.setQuota(host.accountId, { versions: 2 });
    const { lambdaId } = await host.deployer.create(host.accountId, {
      ...SETTINGS,
      archive: lambdaZip(ECHO),
    });
    await host.deployer.wait(lambdaId);
    for (const version of [2, 3]) {
      const archive = lambdaZip(`export async function main() { return ${version}; }`);
      const deployed = await host.deployer.update(lambdaId, {
        archive,
        parameters: { description: `version ${version}` },
        deployParameters: { env: { V: String(version) } },
      });
      assert.equal(deployed.version, version);
      assert.equal((await host.deployer.wait(lambdaId, version)).state, 'ready');
      assert.equal(await callOf(real, host, lambdaId), version);
    }
    const lambda = host.registry.lambda(lambdaId)!;
    assert.deepEqual([lambda.description, lambda.deployParameters.env], ['version 3', { V: '3' }]);

    assert.deepEqual(await host.deployer.rollback(lambdaId, 2), { lambdaId, version: 2 });
    assert.equal(await callOf(real, host, lambdaId), 2);
    const { items } = await host.deployer.versions(lambdaId, { page: 1, pageSize: 10 });
    assert.deepEqual(
      items.map(({ version, active }) => [version, active]),
      [
        [3, false],
        [2, true],
      ],
    );
    await assert.rejects(host.deployer.rollback(lambdaId, 1), { code: 'archive_gone' });
    await assert.rejects(host.deployer.archive(lambdaId, 1), { code: 'archive_gone' });
    await assert.rejects(host.deployer.rollback(lambdaId, 4), { code: 'version_not_found' });
    // The next upload gets a number that was never used.
    assert.equal(
      (await host.deployer.update(lambdaId, { ...SETTINGS, archive: lambdaZip(ECHO) })).version,
      4,
    );
    await host.deployer.wait(lambdaId);
  });

  test('a bad archive is refused with its reason, and nothing of it is kept', async (t) => {
    const host = await rig(t, real);
    const { lambdaId } = await host.deployer.create(host.accountId, {
      ...SETTINGS,
      archive: lambdaZip(ECHO),
    });
    await host.deployer.wait(lambdaId);
    const blobs = await allBlobs(host);
    const cases: [Uint8Array, string, RegExp][] = [
      [Buffer.from('this is no zip'), 'archive_refused', /zip/],
      [zipOf({ 'readme.txt': 'hello' }), 'validation', /lambda_main/],
      [lambdaZip('export async function main(request: any) { return }}'), 'validation', /lambda_main\.ts:1/],
    ];
    for (const [archive, code, detail] of cases) {
      const check = (error: { code?: string; message?: string; problems?: unknown[] }): boolean =>
        error.code === code && detail.test(error.message ?? '') && error.problems!.length > 0;
      await assert.rejects(host.deployer.create(host.accountId, { ...SETTINGS, archive }), check);
      await assert.rejects(host.deployer.update(lambdaId, { ...SETTINGS, archive }), check);
      const { valid, problems } = await host.deployer.validate(host.accountId, { ...SETTINGS, archive });
      assert.deepEqual([valid, problems.length > 0], [false, true]);
    }
    assert.equal(host.registry.lambdaCount(), 1);
    assert.equal(host.registry.lambda(lambdaId)!.latestVersion, 1);
    assert.deepEqual(await allBlobs(host), blobs);
    assert.deepEqual(await callOf(real, host, lambdaId), { version: 1, got: {} });
  });

  test('a start that fails is told: a first version is failed, a later one leaves the one before serving', async (t) => {
    const host = await rig(t, real);
    const broken = lambdaZip(`
      export class UserCtx { async onStart() { throw new Error('no database here'); } }
      export async function main() { return 1; }`);
    const { lambdaId } = await host.deployer.create(host.accountId, { ...SETTINGS, archive: broken });
    const first = await host.deployer.wait(lambdaId);
    assert.deepEqual([first.state, first.problems[0]?.rule], ['failed', 'start_failed']);
    assert.match(first.problems[0]!.message, /no database here/);
    const lambda = host.registry.lambda(lambdaId)!;
    assert.equal(lambda.state, 'failed');
    assert.match(lambda.stateDetail, /no database here/);
    assert.equal(lambda.active, undefined);

    await host.deployer.update(lambdaId, { ...SETTINGS, archive: lambdaZip(ECHO) });
    assert.equal((await host.deployer.wait(lambdaId)).state, 'ready');
    await host.deployer.update(lambdaId, { ...SETTINGS, archive: broken });
    assert.equal((await host.deployer.wait(lambdaId)).state, 'failed');
    assert.deepEqual([lambda.state, lambda.version, lambda.latestVersion], ['running', 2, 3]);
    assert.deepEqual(await callOf(real, host, lambdaId), { version: 1, got: {} });
    // Its archive was good: it is kept, and may be rolled back to once what it needs is there.
    await assert.rejects(host.deployer.rollback(lambdaId, 1), { code: 'update_failed' });
    assert.equal(lambda.version, 2);
  });

  test('parameters take effect without a rebuild, in isolates that run too', async (t) => {
    const host = await rig(t, real);
    const archive = lambdaZip(
      'export async function main(request: any) { return request.config.userConfig; }',
    );
    const { lambdaId } = await host.deployer.create(host.accountId, {
      archive,
      parameters: { userConfig: { greeting: 'hello' } },
      deployParameters: { limits: { memory_mb: 32 } },
    });
    await host.deployer.wait(lambdaId);
    assert.deepEqual(await callOf(real, host, lambdaId), { greeting: 'hello' });
    const [isolate] = host.deployer.status(lambdaId).instances;
    await host.deployer.setUserConfig(lambdaId, { greeting: 'good day' });
    assert.deepEqual(await callOf(real, host, lambdaId), { greeting: 'good day' });
    assert.equal(host.deployer.status(lambdaId).instances.length, 1);
    assert.equal(
      host.deployer.status(lambdaId).instances[0]!.requests,
      isolate!.requests + 1,
      'the same isolate',
    );

    await host.deployer.patch(lambdaId, { name: 'renamed', deployParameters: { limits: { memory_mb: 64 } } });
    assert.deepEqual(await callOf(real, host, lambdaId), { greeting: 'good day' });
    const { name, active } = host.registry.lambda(lambdaId)!;
    assert.deepEqual([name, active!.limits.memory_mb], ['renamed', 64]);
    for (const limits of [{ memory_mb: 1 }, { lambdas: 5 }])
      await assert.rejects(host.deployer.patch(lambdaId, { deployParameters: { limits } }), {
        code: 'bad_request',
      });
    await assert.rejects(host.deployer.setUserConfig(lambdaId, { text: 'x'.repeat(300_000) }), {
      code: 'bad_request',
    });
  });

  test('switched off it stops, and comes back; deleted it leaves nothing', async (t) => {
    const host = await rig(t, real);
    const { lambdaId } = await host.deployer.create(host.accountId, {
      ...SETTINGS,
      archive: lambdaZip(ECHO),
    });
    await host.deployer.wait(lambdaId);
    await host.deployer.switch(lambdaId, false);
    assert.equal(host.deployer.status(lambdaId).state, 'disabled');
    await host.deployer.switch(lambdaId, true);
    assert.equal(host.deployer.status(lambdaId).state, 'running');
    assert.deepEqual(await callOf(real, host, lambdaId), { version: 1, got: {} });

    await host.deployer.delete(lambdaId);
    await host.deployer.close();
    assert.deepEqual(await allBlobs(host), []);
    await assert.rejects(host.deployer.delete(lambdaId), { code: 'lambda_not_found' });
  });
});

async function callOf(real: RealPool, host: Rig, lambdaId: string, body?: unknown): Promise<unknown> {
  const { outcome, value } = await real.call(host.registry.lambda(lambdaId)?.active, body);
  assert.equal(outcome, 'reply', String(value));
  return value;
}

/** After the sweeps that run behind. */
async function allBlobs(host: Rig): Promise<string[]> {
  await host.deployer.swept();
  const all: string[] = [];
  for await (const some of host.store.blobs.list()) all.push(...some);
  return all.sort();
}
