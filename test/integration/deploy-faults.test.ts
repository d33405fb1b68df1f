/** What the real builder and pool do too seldom for a test: slow and lost builds, conflicts, deletions and restarts halfway. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IsolambdaError } from '../../src/errors/error.ts';
import type { Loaded } from '../../src/protocol/messages.ts';
import { failure, type Failure } from '../../src/protocol/outcome.ts';
import { bad, good, lambdaZip, rig, ScriptedBuilder, ScriptedPool, type Rig } from './deploy-rig.ts';

const upload = (text: string) => ({ archive: lambdaZip(text), parameters: {}, deployParameters: {} });

async function blobCount({ deployer, store }: Rig): Promise<number> {
  await deployer.swept();
  let count = 0;
  for await (const some of store.blobs.list()) count += some.length;
  return count;
}

describe('builds that take long', () => {
  test('an upload is acknowledged before its build ends, and is built behind', async (t) => {
    const [builder, pool] = [new ScriptedBuilder(), new ScriptedPool()];
    const host = await rig(t, { builder, pool, answerWithinMs: 1 });
    const { lambdaId } = await host.deployer.create(host.accountId, upload('1'));
    const lambda = host.registry.lambda(lambdaId)!;
    assert.deepEqual([lambda.state, lambda.active], ['building', undefined]);
    await builder.begun(1);
    builder.builds[0]!.end(good());
    assert.equal((await host.deployer.wait(lambdaId)).state, 'ready');
    assert.equal(lambda.state, 'running');
    assert.deepEqual(pool.asked, ['prepare 1']);
  });

  test('one that turns out bad is failed with its problems, and its archive is not kept', async (t) => {
    const builder = new ScriptedBuilder();
    const host = await rig(t, { builder, pool: new ScriptedPool(), answerWithinMs: 1 });
    const { lambdaId } = await host.deployer.create(host.accountId, upload('1'));
    await builder.begun(1);
    builder.builds[0]!.end(bad('syntax', 'main_missing'));
    const build = await host.deployer.wait(lambdaId);
    assert.deepEqual(
      [build.state, build.problems.map(({ rule }) => rule)],
      ['failed', ['syntax', 'main_missing']],
    );
    assert.equal(host.registry.lambda(lambdaId)!.stateDetail, 'syntax is wrong (and 1 more)');
    await assert.rejects(host.deployer.archive(lambdaId), { code: 'archive_gone' });
    assert.equal(await blobCount(host), 0);
  });

  test('what does not even begin as a zip is refused though its build is not done', async (t) => {
    const builder = new ScriptedBuilder();
    const host = await rig(t, { builder, pool: new ScriptedPool(), answerWithinMs: 1 });
    const given = { archive: Buffer.from('no zip'), parameters: {}, deployParameters: {} };
    await assert.rejects(host.deployer.create(host.accountId, given), { code: 'archive_refused' });
    assert.equal(host.registry.lambdaCount(), 0);
    assert.equal(await blobCount(host), 0);
  });

  test('a builder that broke its limits is an error where it is told in time, and a failed version where it is not', async (t) => {
    const lost = new IsolambdaError('build_failed', 'it took more than build_memory_mb');
    const builder = new ScriptedBuilder();
    const host = await rig(t, { builder, pool: new ScriptedPool(), answerWithinMs: 60_000 });
    const refused = host.deployer.create(host.accountId, upload('1'));
    await builder.begun(1);
    builder.builds[0]!.end(lost);
    await assert.rejects(refused, lost);
    assert.deepEqual([host.registry.lambdaCount(), await blobCount(host)], [0, 0]);

    const slow = await host.restart({ answerWithinMs: 1 });
    const { lambdaId } = await slow.deployer.create(slow.accountId, upload('1'));
    await builder.begun(2);
    builder.builds[1]!.end(lost);
    const { state, problems } = await slow.deployer.wait(lambdaId);
    assert.deepEqual([state, problems[0]?.rule], ['failed', 'build_failed']);
  });

  test('accounts take turns: one upload does not wait behind another account’s many', async (t) => {
    const builder = new ScriptedBuilder();
    const host = await rig(t, { builder, pool: new ScriptedPool(), answerWithinMs: 1 });
    const { id: other } = await host.registry.createAccount({ name: 'other' });
    for (const text of ['1', '2', '3', '4', '5']) await host.deployer.create(host.accountId, upload(text));
    const { lambdaId } = await host.deployer.create(other, upload('other'));
    assert.equal(host.registry.lambda(lambdaId)!.state, 'waiting');
    // Two run; one of the first account's is next in line, then the other account's.
    for (const index of [0, 1]) builder.builds[index]!.end(good());
    await builder.begun(4);
    builder.builds[2]!.end(good());
    builder.builds[3]!.end(good());
    assert.equal((await host.deployer.wait(lambdaId)).state, 'ready');
  });
});

describe('at the same time', () => {
  test('a second update of a lambda is a conflict, and the next one is not', async (t) => {
    const builder = new ScriptedBuilder();
    builder.answer = () => good();
    const host = await rig(t, { builder, pool: new ScriptedPool() });
    const { lambdaId } = await host.deployer.create(host.accountId, upload('1'));
    await host.deployer.wait(lambdaId);
    builder.answer = undefined;
    const first = host.deployer.update(lambdaId, upload('2'));
    await builder.begun(1);
    await assert.rejects(host.deployer.update(lambdaId, upload('3')), { code: 'update_conflict' });
    await assert.rejects(host.deployer.rollback(lambdaId, 1), { code: 'update_conflict' });
    builder.builds[0]!.end(bad('syntax'));
    await assert.rejects(first, { code: 'validation' });
    builder.answer = () => good();
    assert.equal((await host.deployer.update(lambdaId, upload('3'))).version, 2);
    await host.deployer.wait(lambdaId);
  });

  test('a lambda that is deleted while it starts leaves neither rows, blobs nor an isolate', async (t) => {
    const [builder, pool] = [new ScriptedBuilder(), new ScriptedPool()];
    builder.answer = () => good();
    const host = await rig(t, { builder, pool });
    const started = Promise.withResolvers<Loaded>();
    const asked = Promise.withResolvers<void>();
    pool.onPrepare = () => {
      asked.resolve();
      return started.promise;
    };
    const { lambdaId } = await host.deployer.create(host.accountId, upload('1'));
    await asked.promise;
    await host.deployer.delete(lambdaId);
    await assert.rejects(host.deployer.wait(lambdaId), { code: 'lambda_not_found' });
    // The isolate that comes into being only now goes too.
    pool.asked.length = 0;
    started.resolve({ ms: 1, routes: [] });
    await started.promise;
    await host.deployer.close();
    assert.deepEqual(pool.asked, ['retire 1 delete']);
    assert.equal(await blobCount(host), 0);
  });

  test('one that is switched off while it starts does not stay in memory', async (t) => {
    const [builder, pool] = [new ScriptedBuilder(), new ScriptedPool()];
    builder.answer = () => good();
    const host = await rig(t, { builder, pool });
    const started = Promise.withResolvers<Loaded>();
    const asked = Promise.withResolvers<void>();
    pool.onPrepare = () => {
      asked.resolve();
      return started.promise;
    };
    const { lambdaId } = await host.deployer.create(host.accountId, upload('1'));
    await asked.promise;
    await host.deployer.switch(lambdaId, false);
    started.resolve({ ms: 1, routes: [] });
    assert.equal((await host.deployer.wait(lambdaId)).state, 'ready');
    assert.equal(host.registry.lambda(lambdaId)!.state, 'disabled');
    assert.deepEqual(pool.asked, ['prepare 1', 'retire 1 disable']);
  });

  test('an account that is deleted while an archive of its is built gets nothing stored', async (t) => {
    const builder = new ScriptedBuilder();
    const host = await rig(t, { builder, pool: new ScriptedPool() });
    const creating = host.deployer.create(host.accountId, upload('1'));
    await builder.begun(1);
    await host.deployer.deleteAccount(host.accountId);
    builder.builds[0]!.end(good());
    await assert.rejects(creating, { code: 'account_not_found' });
    assert.deepEqual([host.registry.lambdaCount(), await blobCount(host)], [0, 0]);
  });
});

describe('starts that fail', () => {
  test('a runner lost by another lambda’s doing is tried again', async (t) => {
    const [builder, pool] = [new ScriptedBuilder(), new ScriptedPool()];
    builder.answer = () => good();
    const host = await rig(t, { builder, pool });
    const ends: (Loaded | Failure)[] = [
      failure('runner_lost', 'it died', { retryAfterMs: 1 }),
      { ms: 1, routes: [] },
    ];
    pool.onPrepare = () => Promise.resolve(ends.shift()!);
    const { lambdaId } = await host.deployer.create(host.accountId, upload('1'));
    assert.equal((await host.deployer.wait(lambdaId)).state, 'ready');
    assert.deepEqual(pool.asked, ['prepare 1', 'prepare 1']);
  });
});

describe('a restart halfway', () => {
  test('builds and starts that were under way are taken up; settings that came with an update are not lost', async (t) => {
    const [builder, pool] = [new ScriptedBuilder(), new ScriptedPool()];
    builder.answer = () => good('first');
    const host = await rig(t, { builder, pool, answerWithinMs: 1 });
    const { lambdaId } = await host.deployer.create(host.accountId, upload('1'));
    await host.deployer.wait(lambdaId);
    builder.answer = undefined;
    const next = { ...upload('2'), parameters: { description: 'second', userConfig: { two: 2 } } };
    assert.equal((await host.deployer.update(lambdaId, next)).version, 2);
    const { lambdaId: fresh } = await host.deployer.create(host.accountId, upload('new'));

    // Stopped in the middle of both builds; the next host is stopped in the middle of the starts.
    const hung = new ScriptedPool();
    const both = Promise.withResolvers<void>();
    hung.onPrepare = () => {
      if (hung.asked.length === 2) both.resolve();
      return new Promise(() => undefined);
    };
    builder.answer = () => good('second');
    const second = await host.restart({ pool: hung });
    const lambda = second.registry.lambda(lambdaId)!;
    assert.deepEqual([lambda.version, lambda.description, lambda.state], [1, '', 'running']);
    await both.promise;
    assert.deepEqual(second.deployer.status(lambdaId).update, { version: 2, state: 'starting' });

    builder.answer = () => assert.fail('what was built is not built again');
    const third = await second.restart({ pool });
    assert.equal((await third.deployer.wait(lambdaId, 2)).state, 'ready');
    assert.equal((await third.deployer.wait(fresh)).state, 'ready');
    const { version, description, userConfig } = third.registry.lambda(lambdaId)!;
    assert.deepEqual([version, description, userConfig], [2, 'second', { two: 2 }]);
  });
});
