/** Tasks whose subtasks come through RabbitMQ: what the broker loses or is told by strangers changes no result. */
import { connect, type Channel, type ChannelModel } from 'amqplib';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { subtaskQueue } from '../../src/gateway/amqp/task-broker.ts';
import { brokerUrl } from '../broker.ts';
import { fixtureArchive } from '../folder-archive.ts';
import { startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { lineOf } from '../lambda-log.ts';

let host: TestHost;
let tenant: TestAccount;
let lambdaId: string;
let broker: ChannelModel;
let channel: Channel;
before(async () => {
  const url = await brokerUrl();
  broker = await connect(url);
  channel = await broker.createChannel();
  host = await startTestHost({ flags: { 'amqp-url': url, 'tasks-queue': 'amqp' } });
  tenant = await host.account({ task_parallelism: 2 });
  lambdaId = (
    await tenant.api.createLambda({
      archive: fixtureArchive('contract/tasks'),
      parameters: { lambda_type: 'tasks' },
    })
  ).json.lambda_id;
  await tenant.api.waitUntilRunning(lambdaId);
});
after(async () => {
  await host?.stop();
  await channel?.deleteQueue(subtaskQueue(tenant.accountId));
  await broker?.close();
});

const create = async (parts: object[], retry = {}): Promise<number> =>
  (await tenant.api.createTask({ content: { lambda_id: lambdaId, parts }, retry })).json.task_id;

test('subtasks are executed, tried again and counted as over the store', async () => {
  const squares = Array.from({ length: 30 }, (_, value) => ({ do: 'square', value }));
  const taskId = await create([...squares, { do: 'third-time', key: 'amqp' }, { do: 'refuse' }], {
    max_attempts: 3,
    backoff_ms: 10,
  });
  await tenant.api.waitForTask(taskId, { timeoutMs: 60_000 });
  const { progress, results } = (await tenant.api.getTaskResult({ taskId })).json;
  assert.deepEqual(progress, { done: 31, failed: 1, canceled: 0, total: 32 });
  assert.deepEqual(
    results.slice(0, 31).map(({ result }) => result),
    [...squares.map(({ value }) => ({ square: value * value })), { times: 3 }],
  );
});

test('what the broker loses is offered again; messages of strangers do no harm', async () => {
  const line = lineOf(tenant.api, lambdaId, 'waiting');
  const squares = Array.from({ length: 10 }, (_, value) => ({ do: 'square', value }));
  // Both places are taken, until they time out: what is behind them stays in the queue, and is lost with it.
  const parts = [{ do: 'until-asked' }, { do: 'until-asked' }, ...squares];
  const content = { lambda_id: lambdaId, parts };
  const { task_id: taskId } = (await tenant.api.createTask({ content, subtask_timeout_ms: 5_000 })).json;
  await line;
  const queue = subtaskQueue(tenant.accountId);
  await channel.purgeQueue(queue);
  for (const text of ['', 'no JSON', '{"task":1,"subtask":1,"lambda":"none"}', '{"task":"1"}', '[]'])
    channel.sendToQueue(queue, Buffer.from(text));
  channel.sendToQueue(queue, Buffer.from(JSON.stringify({ task: taskId, subtask: 1, lambda: lambdaId })));
  await tenant.api.waitForTask(taskId, { timeoutMs: 90_000 });
  const { status, results } = (await tenant.api.getTaskResult({ taskId })).json;
  assert.equal(status, 'done');
  assert.deepEqual(
    results.slice(2).map(({ result }) => result),
    squares.map(({ value }) => ({ square: value * value })),
  );
});
