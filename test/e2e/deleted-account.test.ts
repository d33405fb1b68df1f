import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { callMain, deploy, ECHO, startTestHost } from '../host.ts';

const WAIT_MS = 10_000;

test('the runner of a deleted account ends within seconds, with no call to wait for', async (t) => {
  const host = await startTestHost();
  t.after(() => host.stop());
  const serving = async (): Promise<number> => {
    const { text } = await host.operator.getMetrics();
    const gauge = (name: string): number => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
    return gauge('isolambda_runners') - gauge('isolambda_spare_runners');
  };
  const { accountId, api } = await host.account();
  await callMain(api, await deploy(api, ECHO), { a: 1 });
  assert.equal(await serving(), 1);
  await host.operator.deleteAccount(accountId);
  const since = performance.now();
  while ((await serving()) > 0) {
    assert.ok(performance.now() - since < WAIT_MS, `it still runs after ${WAIT_MS} ms`);
    await pause(50);
  }
});
