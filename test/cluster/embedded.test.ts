/** The embedded queue: one host, killed again and again while its tasks run. `npm run test:cluster`. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'node:test';
import { LambdaApi } from '../../src/client/index.ts';
import { startTestHost } from '../host.ts';
import { createAll, ended, executed, since, SIZE, tasksAccount, verify } from './load.ts';

const LOOK_MS = 100;

test(`${SIZE.tasks} tasks of ${SIZE.subtasks} subtasks on one host that is killed ${SIZE.kills} times`, async (t) => {
  const startedMs = performance.now();
  let host = await startTestHost();
  const { dataDir } = host;
  t.after(async () => {
    await host.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { account, lambdaId } = await tasksAccount(host);
  let api = account.api;
  const created = createAll(() => api, lambdaId);
  // Each life but the last executes its share, so that the kills come all along the way: a quarter less than an equal one, because
  // a life goes on until it is looked at.
  const share = Math.floor((0.75 * SIZE.tasks * SIZE.subtasks) / (SIZE.kills + 1));
  for (let kill = 1; kill <= SIZE.kills; kill++) {
    while ((await executed(host)) < share) {
      assert.ok((await ended(() => api)) < SIZE.tasks, `nothing is left to do before kill ${kill}`);
      await pause(LOOK_MS);
    }
    await host.kill();
    host = await startTestHost({ dataDir });
    api = new LambdaApi({ origin: host.origin, token: account.token });
    console.log(`${since(startedMs)}: killed ${kill} times; ${await ended(() => api)} tasks done`);
  }
  const acknowledged = await created;
  while ((await ended(() => api)) < SIZE.tasks) await pause(LOOK_MS);
  console.log(`${since(startedMs)}: all tasks have ended`);
  await verify(() => api, acknowledged);
  console.log(`${since(startedMs)}: ${acknowledged.size * SIZE.subtasks} results are exactly right`);
});
