/** The whole life of tasks, through a real host over HTTP. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { TaskCreate, TaskResult } from '../../src/schemas/task.ts';
import { LambdaApi, LambdaApiError } from '../../src/client/index.ts';
import { runCli, type CliResult } from '../cli-process.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { fixtureArchive } from '../folder-archive.ts';
import { startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { lineOf } from '../lambda-log.ts';
import { startWitness, type Witness } from '../witness.ts';

const CANCEL_GRACE_MS = 300;

let host: TestHost;
let tenant: TestAccount;
let lambdaId: string;
before(async () => {
  host = await startTestHost({ flags: { 'tasks-cancel-grace-ms': String(CANCEL_GRACE_MS) } });
  tenant = await host.account();
  lambdaId = await deployTasks(tenant);
});
after(() => host?.stop());

async function deployTasks(account: TestAccount, env: Record<string, string> = {}): Promise<string> {
  const { lambda_id: id } = (
    await account.api.createLambda({
      archive: fixtureArchive('contract/tasks'),
      parameters: { lambda_type: 'tasks' },
      deployParameters: { cpu_ms: 200, timeout_ms: 10_000, env },
    })
  ).json;
  await account.api.waitUntilRunning(id);
  return id;
}

type Content = Readonly<Record<string, unknown>>;
async function create(
  content: Content,
  more: Omit<TaskCreate, 'content'> = {},
  account: TestAccount = tenant,
  lambda = lambdaId,
): Promise<number> {
  return (await account.api.createTask({ content: { lambda_id: lambda, ...content }, ...more })).json.task_id;
}
async function resultOf(taskId: number, { api }: TestAccount = tenant): Promise<TaskResult> {
  await api.waitForTask(taskId, { timeoutMs: 30_000 });
  return (await api.getTaskResult({ taskId })).json;
}
const refusedWith = (statusCode: number, errorCode: number) => (error: unknown) =>
  error instanceof LambdaApiError && error.statusCode === statusCode && error.errorCode === errorCode;
describe('a task', () => {
  test('is split, executed and aggregated, in the order of the split', async () => {
    const values = Array.from({ length: 25 }, (_, at) => at);
    const taskId = await create(
      { parts: values.map((value) => ({ do: 'square', value })) },
      { description: 'squares' },
    );
    const { status, progress, error, results } = await resultOf(taskId);
    assert.deepEqual(
      [status, progress, error],
      ['done', { done: 25, failed: 0, canceled: 0, total: 25 }, null],
    );
    assert.deepEqual(
      results,
      values.map((value) => ({ subtask_id: value + 1, status: 'done', result: { square: value * value } })),
    );
    const task = (await tenant.api.getTask({ taskId })).json;
    assert.deepEqual(
      [task.description, task.lambda_id, task.content?.['lambda_id']],
      ['squares', lambdaId, lambdaId],
    );
    const listed = (await tenant.api.getTasks({ status: 'done', lambdaId, pageSize: 1 })).json;
    assert.equal(listed.items[0]?.task_id, taskId);
    assert.equal(listed.page_size, 1);
  });

  test('its subtasks know the task, and may return lists', async () => {
    const { results } = await resultOf(await create({ parts: [{ do: 'who' }, { do: 'list', value: 4 }] }));
    assert.deepEqual(
      results.map(({ result }) => result),
      [{ task: 'number', subtask: 1, account: tenant.accountId }, [4]],
    );
  });

  test('a failed subtask is recorded with its error, and stops none of the others', async () => {
    const parts = [
      { do: 'square', value: 3 },
      { do: 'refuse' },
      { do: 'throw' },
      { do: 'number' },
      { do: 'never' },
      { do: 'square', value: 4 },
    ];
    const taskId = await create({ parts }, { subtask_timeout_ms: 600 });
    const { status, progress, results } = await resultOf(taskId);
    assert.deepEqual([status, progress], ['done', { done: 2, failed: 4, canceled: 0, total: 6 }]);
    assert.deepEqual(
      results.map(({ status: state, error, result }) =>
        state === 'done' ? result : [error?.error_code, error?.type ?? null, error?.detail.slice(0, 30)],
      ),
      [
        { square: 9 },
        [42004, 'PartRefused', 'this part is refused'],
        [42004, 'TypeError', 'no such thing'],
        [43016, null, 'executeSubtask must return an o'.slice(0, 30)],
        [43001, null, 'no reply before the deadline; '],
        { square: 16 },
      ],
    );
    const failed = (await tenant.api.getSubtasks({ taskId, status: 'failed', pageSize: 2, page: 2 })).json;
    assert.deepEqual([failed.total, failed.items.map((item) => item.subtask_id)], [4, [4, 5]]);
  });

  test('a subtask that computes for ever gets the error of its limit; those it took along are executed again', async () => {
    const parts = [{ do: 'spin' }, ...Array.from({ length: 5 }, (_, value) => ({ do: 'square', value }))];
    const { progress, results } = await resultOf(await create({ parts }));
    assert.deepEqual(progress, { done: 5, failed: 1, canceled: 0, total: 6 });
    assert.equal(results[0]?.error?.error_code, 43002);
  });

  test('a content that can not be split fails the task, and says why', async () => {
    const refused = await resultOf(await create({ split: 'throws' }));
    assert.deepEqual(
      [refused.status, refused.progress.total, refused.error?.error_code, refused.error?.detail],
      ['failed', null, 42004, 'this content is refused'],
    );
    const numbers = await resultOf(await create({ split: 'numbers' }));
    assert.deepEqual([numbers.status, numbers.error?.error_code], ['failed', 43016]);
    const missing = await resultOf(await create({}));
    assert.deepEqual([missing.status, missing.error?.error_code], ['failed', 43016]);
  });

  test('a content that is split into nothing is done', async () => {
    const { status, progress, results } = await resultOf(await create({ parts: [] }));
    assert.deepEqual([status, progress.total, results], ['done', 0, []]);
  });

  test('a subtask that fails is executed again, by the policy of its task', async () => {
    const retry = { max_attempts: 3, backoff_ms: 20 };
    const good = await create({ parts: [{ do: 'third-time', key: 'good' }] }, { retry });
    assert.deepEqual((await resultOf(good)).results, [
      { subtask_id: 1, status: 'done', result: { times: 3 } },
    ]);
    assert.equal((await tenant.api.getSubtasks({ taskId: good })).json.items[0]?.attempts, 3);
    const twice = { ...retry, max_attempts: 2 };
    const bad = await resultOf(await create({ parts: [{ do: 'third-time', key: 'bad' }] }, { retry: twice }));
    assert.equal(bad.results[0]?.error?.detail, 'time 2');
    // An error that the lambda means would be the same the next time.
    const meant = await create({ parts: [{ do: 'refuse' }] }, { retry });
    await resultOf(meant);
    assert.equal((await tenant.api.getSubtasks({ taskId: meant })).json.items[0]?.attempts, 1);
  });

  test('has no result before it has ended', async () => {
    const taskId = await create({ parts: [{ do: 'until-asked' }] });
    await assert.rejects(tenant.api.getTaskResult({ taskId }), refusedWith(409, 28018));
    await tenant.api.cancelTask({ taskId });
    await resultOf(taskId);
  });
});

describe('an idempotency key', () => {
  const keyed = (idempotencyKey: string, value = 3, account: TestAccount = tenant, lambda = lambdaId) =>
    account.api.createTask(
      { content: { lambda_id: lambda, parts: [{ do: 'square', value }] } },
      { idempotencyKey },
    );

  test('makes one task of a request that comes again, also at once', async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, () => keyed('order 4711')));
    const ids = new Set(replies.map(({ json }) => json.task_id));
    assert.equal(ids.size, 1);
    const created = replies.filter(({ headers }) => headers.get('idempotent-replayed') === null);
    assert.equal(created.length, 1);
    const [taskId] = ids;
    assert.deepEqual((await resultOf(taskId!)).results[0]?.result, { square: 9 });
    const again = await keyed('order 4711');
    assert.deepEqual([again.statusCode, again.json.task_id], [202, taskId]);
    // The key goes with its task.
    await tenant.api.deleteTask({ taskId: taskId! });
    const anew = await keyed('order 4711');
    assert.equal(anew.headers.get('idempotent-replayed'), null);
    assert.notEqual(anew.json.task_id, taskId);
  });

  test('stands for one request alone, and for one account', async () => {
    await keyed('mine');
    await assert.rejects(keyed('mine', 4), refusedWith(409, 43043));
    const other = await host.account();
    const theirs = await keyed('mine', 3, other, await deployTasks(other));
    assert.equal(theirs.headers.get('idempotent-replayed'), null);
  });

  test('finds its task also when there may be no new one', async () => {
    const account = await host.account();
    const lambda = await deployTasks(account);
    const { task_id: taskId } = (await keyed('once', 3, account, lambda)).json;
    await host.operator.putQuota(account.accountId, { tasks_bytes: 1_024 });
    await account.api.switchLambda({ lambdaId: lambda, alive: false });
    assert.equal((await keyed('once', 3, account, lambda)).json.task_id, taskId);
    await assert.rejects(keyed('twice', 3, account, lambda), refusedWith(409, 43010));
  });

  test('is a short line of printable characters', async () => {
    for (const key of ['', 'x'.repeat(256), 'tab\there'])
      await assert.rejects(
        keyed(key),
        (error: unknown) => error instanceof LambdaApiError && error.statusCode === 400,
      );
    assert.equal((await keyed('x'.repeat(255))).statusCode, 202);
  });
});

describe('cancel', () => {
  test('asks what runs to end, and cancels what waits', async () => {
    const waiting = Array.from({ length: 30 }, () => ({ do: 'square', value: 1 }));
    const blocking = ['until-asked', 'throw-when-asked', 'never'].map((what) => ({ do: what }));
    const account = await host.account({ task_parallelism: 3 });
    const lambda = await deployTasks(account);
    const line = lineOf(account.api, lambda, 'waiting');
    const taskId = await create({ parts: [...blocking, ...waiting] }, {}, account, lambda);
    await line;
    const canceling = (await account.api.cancelTask({ taskId })).json;
    assert.ok(['canceling', 'canceled'].includes(canceling.status), canceling.status);
    const { status, progress, results } = await resultOf(taskId, account);
    assert.equal(status, 'canceled');
    assert.deepEqual(progress, { done: 1, failed: 0, canceled: 32, total: 33 });
    // What is returned within the grace time counts.
    assert.deepEqual(results[0], { subtask_id: 1, status: 'done', result: { asked: true } });
    assert.deepEqual(
      results.slice(1).map((one) => one.status),
      Array.from({ length: 32 }, () => 'canceled'),
    );
    // It may be said twice; but a task that is done can't be cancelled.
    assert.equal((await account.api.cancelTask({ taskId })).json.status, 'canceled');
    const done = await create({ parts: [] });
    await resultOf(done);
    await assert.rejects(tenant.api.cancelTask({ taskId: done }), refusedWith(409, 43043));
  });

  test('delete ends what runs, and leaves nothing', async () => {
    const line = lineOf(tenant.api, lambdaId, 'waiting');
    const taskId = await create({ parts: [{ do: 'until-asked' }] });
    await line;
    await tenant.api.deleteTask({ taskId });
    for (const call of ['getTask', 'getSubtasks', 'getTaskResult', 'cancelTask', 'deleteTask'] as const)
      await assert.rejects(tenant.api[call]({ taskId }), refusedWith(404, 43047), call);
    // Its place is free again: the next task runs.
    assert.equal((await resultOf(await create({ parts: [{ do: 'square', value: 2 }] }))).status, 'done');
  });
});

describe('whose tasks', () => {
  test('another account finds none of it, and runs none on it', async () => {
    const other = await host.account();
    const taskId = await create({ parts: [] });
    await resultOf(taskId);
    for (const call of ['getTask', 'getSubtasks', 'getTaskResult', 'cancelTask', 'deleteTask'] as const)
      await assert.rejects(other.api[call]({ taskId }), refusedWith(404, 43047), call);
    assert.equal((await other.api.getTasks()).json.total, 0);
    await assert.rejects(create({ parts: [] }, {}, other), refusedWith(404, 42001));
    assert.equal((await tenant.api.getTask({ taskId })).json.status, 'done');
    assert.equal((await host.operator.getTask({ taskId })).json.account_id, tenant.accountId);
  });

  test('invoke runs and reads tasks, read only reads them, deploy alone does not run them', async () => {
    const as = async (...scopes: ('invoke' | 'read' | 'deploy')[]): Promise<LambdaApi> => {
      const { token } = (await host.operator.createToken(tenant.accountId, { scopes })).json;
      return new LambdaApi({ origin: host.origin, token });
    };
    const [invoke, read, deploy] = [await as('invoke'), await as('read'), await as('deploy')];
    const body = { content: { lambda_id: lambdaId, parts: [] } };
    const { task_id: taskId } = (await invoke.createTask(body)).json;
    await invoke.waitForTask(taskId);
    assert.equal((await read.getTaskResult({ taskId })).json.status, 'done');
    for (const api of [read, deploy]) {
      await assert.rejects(api.createTask(body), refusedWith(403, 43035));
      await assert.rejects(api.deleteTask({ taskId }), refusedWith(403, 43035));
    }
  });

  test('what is no tasks lambda, or is switched off, runs none', async () => {
    const { lambda_id: plain } = (
      await tenant.api.createLambda({
        archive: fixtureArchive('contract/results'),
        parameters: { lambda_type: 'standalone' },
      })
    ).json;
    await assert.rejects(create({}, {}, tenant, plain), refusedWith(400, 43033));
    const off = await deployTasks(tenant);
    await tenant.api.switchLambda({ lambdaId: off, alive: false });
    await assert.rejects(create({}, {}, tenant, off), refusedWith(409, 43010));
  });
});

describe('a lambda that changes while its task runs', () => {
  let witness: Witness;
  let account: TestAccount;
  before(async () => {
    witness = await startWitness();
    account = await host.account({ task_parallelism: 1, egress: [witness.host] });
  });
  after(() => witness?.close());
  const blocked = { do: 'until-asked' };

  test('switched off: its tasks wait, and go on when it is switched on again', async () => {
    const lambda = await deployTasks(account);
    const line = lineOf(account.api, lambda, 'waiting');
    const first = await create({ parts: [blocked] }, {}, account, lambda);
    await line;
    const second = await create({ parts: [{ do: 'square', value: 5 }] }, {}, account, lambda);
    await account.api.switchLambda({ lambdaId: lambda, alive: false });
    await account.api.cancelTask({ taskId: first });
    await resultOf(first, account);
    assert.equal((await account.api.getTask({ taskId: second })).json.progress.done, 0);
    await account.api.switchLambda({ lambdaId: lambda, alive: true });
    assert.deepEqual((await resultOf(second, account)).results[0]?.result, { square: 25 });
  });

  test('updated: what runs ends on the old version, the rest runs on the new one', async () => {
    const lambda = await deployTasks(account, { WITNESS: witness.origin });
    const line = lineOf(account.api, lambda, 'waiting');
    const parts = [blocked, { do: 'tell', key: 'after-update' }];
    const taskId = await create({ parts }, { subtask_timeout_ms: 1_500 }, account, lambda);
    await line;
    await account.api.updateLambda({ lambdaId: lambda, archive: fixtureArchive('contract/tasks') });
    const { progress, results } = await resultOf(taskId, account);
    assert.equal(progress.total, 2);
    assert.deepEqual(results[1]?.result, { told: 'after-update' });
  });

  test('deleted: what is left of its tasks fails with the code of a lambda that is not there', async () => {
    const lambda = await deployTasks(account);
    const line = lineOf(account.api, lambda, 'waiting');
    const parts = [blocked, { do: 'square', value: 1 }, { do: 'square', value: 1 }];
    const taskId = await create({ parts }, { subtask_timeout_ms: 500 }, account, lambda);
    await line;
    await account.api.deleteLambda({ lambdaId: lambda });
    const { status, results } = await resultOf(taskId, account);
    assert.equal(status, 'done');
    assert.deepEqual(
      results.slice(1).map(({ error }) => error?.error_code),
      [42001, 42001],
    );
  });
});

describe('limits', () => {
  let small: TestAccount;
  let lambda: string;
  before(async () => {
    small = await host.account({
      tasks: 2,
      task_content_bytes: 400,
      subtasks: 5,
      subtask_result_bytes: 100,
      task_result_bytes: 250,
    });
    lambda = await deployTasks(small);
  });
  const parts = (lengths: number[]) => ({ parts: lengths.map((value) => ({ do: 'large', value })) });

  test('subtasks of a task', async () => {
    assert.equal(
      (await resultOf(await create({ split: 'many', count: 5 }, {}, small, lambda), small)).status,
      'done',
    );
    const more = await resultOf(await create({ split: 'many', count: 6 }, {}, small, lambda), small);
    assert.deepEqual([more.status, more.error?.error_code], ['failed', 43008]);
  });

  test('bytes of a result, and of all results', async () => {
    // {"text":""} has eleven.
    const one = await resultOf(await create(parts([89, 90]), {}, small, lambda), small);
    assert.deepEqual(
      one.results.map((result) => result.error?.error_code),
      [undefined, 43008],
    );
    const all = await resultOf(await create(parts([80, 80, 80]), {}, small, lambda), small);
    assert.deepEqual(all.progress, { done: 2, failed: 1, canceled: 0, total: 3 });
    assert.equal(all.results.find(({ status }) => status === 'failed')?.error?.error_code, 43008);
  });

  test('bytes of a content', async () => {
    const empty = JSON.stringify({ lambda_id: lambda, parts: [], fill: '' }).length;
    await resultOf(await create({ parts: [], fill: 'x'.repeat(400 - empty) }, {}, small, lambda), small);
    const beyond = create({ parts: [], fill: 'x'.repeat(401 - empty) }, {}, small, lambda);
    await assert.rejects(beyond, refusedWith(413, 43007));
  });

  test('tasks that have not ended', async () => {
    const held = [blockedTask(), blockedTask()];
    const ids = await Promise.all(held);
    await assert.rejects(blockedTask(), refusedWith(403, 43041));
    for (const taskId of ids) await small.api.cancelTask({ taskId });
    for (const taskId of ids) await resultOf(taskId, small);
    await resultOf(await create({ parts: [] }, {}, small, lambda), small);
  });
  const blockedTask = (): Promise<number> => create({ parts: [{ do: 'until-asked' }] }, {}, small, lambda);

  test('bytes of all tasks that are kept', async () => {
    const crowded = await host.account({ tasks_bytes: 3_000 });
    const on = await deployTasks(crowded);
    // 512 bytes a task beside its content.
    const fill = { parts: [], fill: 'x'.repeat(1_000) };
    const first = await create(fill, {}, crowded, on);
    await resultOf(first, crowded);
    await resultOf(await create({ parts: [] }, {}, crowded, on), crowded);
    await assert.rejects(create(fill, {}, crowded, on), refusedWith(403, 43041));
    await crowded.api.deleteTask({ taskId: first });
    await resultOf(await create(fill, {}, crowded, on), crowded);
  });

  test('a rate that is used up makes tasks wait, and fails none of them', async () => {
    const slow = await host.account({ account_rate_per_s: 10, task_parallelism: 10 });
    const on = await deployTasks(slow);
    const task = await create({ split: 'many', count: 40 }, {}, slow, on);
    const { progress } = await resultOf(task, slow);
    assert.deepEqual(progress, { done: 40, failed: 0, canceled: 0, total: 40 });
  });
});

describe('isolambda task', () => {
  const cli = (...args: string[]): Promise<CliResult> =>
    runCli(['task', ...args], {
      env: { ISOLAMBDA_DATA_DIR: host.dataDir, ISOLAMBDA_ACCOUNT: tenant.accountId },
    });
  const ok = async <T>(...args: string[]): Promise<T> => {
    const { code, stdout, stderr } = await cli(...args, '--json');
    assert.equal(code, 0, stdout + stderr);
    return JSON.parse(stdout) as T;
  };

  test('creates, watches, shows, lists, cancels and deletes', async () => {
    const parts = JSON.stringify({ parts: [{ do: 'square', value: 6 }] });
    const watched = await ok<TaskResult>(
      'create',
      lambdaId,
      '-d',
      parts,
      '--description',
      'by hand',
      '--watch',
    );
    assert.deepEqual([watched.status, watched.results[0]?.result], ['done', { square: 36 }]);
    const id = String(watched.task_id);
    assert.deepEqual(await ok('result', id), watched);
    const once = ['create', lambdaId, '-d', parts, '--key', 'by hand, once'];
    assert.deepEqual(await ok(...once), await ok(...once));
    const shown = await cli('status', id);
    assert.match(shown.stdout, /is .*done[^]*24|1\/1[^]*by hand/);
    const listed = await ok<{ items: { task_id: number }[] }>(
      'list',
      '--status',
      'done',
      '--lambda',
      lambdaId,
    );
    assert.ok(listed.items.some(({ task_id: taskId }) => taskId === watched.task_id));
    assert.deepEqual(await ok('delete', id), { deleted: [watched.task_id] });
    const gone = await cli('status', id);
    assert.equal(gone.code, EXIT.notFound.code, gone.stderr);

    const blocked = JSON.stringify({ parts: [{ do: 'never' }] });
    // It outlives the commands on a slow machine: each execution ends by its deadline, and is followed by the next.
    const { task_id: taskId } = await ok<{ task_id: number }>(
      ...['create', lambdaId, '-d', blocked, '--attempts', '20'],
    );
    const noResult = await cli('result', String(taskId));
    assert.deepEqual([noResult.code, /no result yet/.test(noResult.stderr)], [EXIT.refused.code, true]);
    await ok('cancel', String(taskId));
    const canceled = await cli('watch', String(taskId));
    assert.equal(canceled.code, EXIT.lambdaError.code);
    assert.match(canceled.stdout, /canceled/);
    assert.equal((await cli('status', 'one')).code, EXIT.usage.code);
  });
});

test('the metrics count tasks and subtasks', async () => {
  const { text } = await host.operator.getMetrics();
  for (const line of ['isolambda_tasks_total{state="done"}', 'isolambda_subtasks_total{outcome="failed"}'])
    assert.ok(text.includes(line), line);
});

test('a host that is killed goes on with its tasks when it is started again: each result once', async () => {
  // It is never answered; the second time it comes from the next host.
  let calls = 0;
  const second = Promise.withResolvers<void>();
  const witness = await startWitness(() => {
    if (++calls === 2) second.resolve();
  });
  const doomed = await startTestHost();
  const account = await doomed.account({ egress: [witness.host] });
  const lambda = await deployTasks(account, { WITNESS: witness.origin });
  const parts = [
    ...Array.from({ length: 12 }, (_, value) => ({ do: 'square', value })),
    { do: 'tell', key: 'first' },
  ];
  const split = await create({ parts }, {}, account, lambda);
  await witness.saw('/first/13');
  const unsplit = await create({ parts: [{ do: 'square', value: 9 }] }, {}, account, lambda);
  await doomed.kill();
  const again = await startTestHost({ dataDir: doomed.dataDir });
  try {
    const api = new LambdaApi({ origin: again.origin, token: account.token });
    await second.promise;
    const progress = (await api.getTask({ taskId: split })).json.progress;
    assert.deepEqual(progress, { done: 12, failed: 0, canceled: 0, total: 13 });
    assert.deepEqual((await resultOf(unsplit, { ...account, api })).results[0]?.result, { square: 81 });
    await api.cancelTask({ taskId: split });
    const { results } = await resultOf(split, { ...account, api });
    assert.deepEqual(
      results.slice(0, 12).map(({ result }) => result),
      Array.from({ length: 12 }, (_, value) => ({ square: value * value })),
    );
  } finally {
    await again.stop();
    await witness.close();
    await rm(doomed.dataDir, { recursive: true, force: true });
  }
});
