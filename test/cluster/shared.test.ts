/** Three hosts that share PostgreSQL and RabbitMQ, one of which is killed every few seconds. `npm run test:cluster`. */
import { connect } from 'amqplib';
import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'node:test';
import { LambdaApi } from '../../src/client/index.ts';
import { subtaskQueue } from '../../src/gateway/amqp/task-broker.ts';
import { brokerUrl } from '../broker.ts';
import { startTestHost, type TestHost } from '../host.ts';
import { ownSchema } from '../postgres.ts';
import { createAll, ended, since, SIZE, tasksAccount, verify } from './load.ts';

const LOOK_MS = 250;

test(`${SIZE.tasks} tasks of ${SIZE.subtasks} subtasks over ${SIZE.hosts} hosts, one of which is killed every ${SIZE.killEveryMs} ms`, async (t) => {
  const startedMs = performance.now();
  const flags = {
    'store-url': await ownSchema(t),
    'amqp-url': await brokerUrl(),
    'tasks-queue': 'amqp',
    'tasks-lease-ms': '5000',
  };
  const hosts: TestHost[] = [];
  t.after(async () => {
    for (const host of hosts) {
      await host.stop();
      await rm(host.dataDir, { recursive: true, force: true });
    }
  });
  hosts.push(await startTestHost({ flags }));
  const { account, lambdaId } = await tasksAccount(hosts[0]!);
  t.after(async () => {
    const broker = await connect(flags['amqp-url']);
    await (await broker.createChannel()).deleteQueue(subtaskQueue(account.accountId));
    await broker.close();
  });
  while (hosts.length < SIZE.hosts) hosts.push(await startTestHost({ flags }));
  let turn = 0;
  /** Of one host after another; those that are down are asked again elsewhere. */
  const api = (): LambdaApi =>
    new LambdaApi({ origin: hosts[turn++ % hosts.length]!.origin, token: account.token, timeoutMs: 10_000 });
  console.log(`${since(startedMs)}: ${hosts.length} hosts`);

  const created = createAll(api, lambdaId);
  let done = 0;
  let kills = 0;
  let nextKillMs = performance.now() + SIZE.killEveryMs;
  while (done < SIZE.tasks) {
    await pause(LOOK_MS);
    done = await ended(api);
    if (performance.now() < nextKillMs || done >= SIZE.tasks) continue;
    nextKillMs += SIZE.killEveryMs;
    const at = kills++ % hosts.length;
    const { dataDir } = hosts[at]!;
    await hosts[at]!.kill();
    hosts[at] = await startTestHost({ flags, dataDir });
    console.log(`${since(startedMs)}: killed ${kills} times; ${done} tasks done`);
  }
  const acknowledged = await created;
  console.log(`${since(startedMs)}: all tasks have ended, through ${kills} kills`);
  await verify(api, acknowledged);
  console.log(`${since(startedMs)}: ${acknowledged.size * SIZE.subtasks} results are exactly right`);
});
