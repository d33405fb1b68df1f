/** What the cluster tests have in common: a lambda whose results can be checked, its tasks, and their count. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { LambdaApi } from '../../src/client/index.ts';
import { LambdaApiError, LambdaConnectionError, LambdaTimeoutError } from '../../src/client/index.ts';
import { deploy, type TestAccount, type TestHost } from '../host.ts';

const number = (name: string, initial: number): number => Number(process.env[name] ?? initial);

/** The size of the runs; the defaults are those of the promise, smaller ones are for a look. */
export const SIZE = {
  tasks: number('ISOLAMBDA_CLUSTER_TASKS', 1_000),
  subtasks: number('ISOLAMBDA_CLUSTER_SUBTASKS', 20),
  kills: number('ISOLAMBDA_CLUSTER_KILLS', 20),
  killEveryMs: number('ISOLAMBDA_CLUSTER_KILL_EVERY_MS', 10_000),
  hosts: 3,
} as const;

const PARALLELISM = 20;
const CREATED_AT_ONCE = 10;
const RETRY_MS = 100;

const LAMBDA = `
import { BaseLambdaTask } from 'lambda-tools/tasks';
export class LambdaTask extends BaseLambdaTask {
  async splitTasksContent(content) {
    const { first, count } = content;
    return Array.from({ length: count }, (_, at) => ({ n: first + at }));
  }
  async executeSubtask({ n }) {
    await new Promise((resolve) => setTimeout(resolve, n % 20));
    let sum = 0;
    for (let i = 1; i <= n % 1000; i++) sum += i;
    return { n, square: n * n, sum };
  }
}
`;

const expected = (n: number) => ({ n, square: n * n, sum: ((n % 1000) * ((n % 1000) + 1)) / 2 });

export async function tasksAccount(host: TestHost): Promise<{ account: TestAccount; lambdaId: string }> {
  const account = await host.account({
    tasks: SIZE.tasks * 2,
    task_parallelism: PARALLELISM,
    rate_per_s: 100_000,
    account_rate_per_s: 100_000,
  });
  const lambdaId = await deploy(account.api, LAMBDA, { lambda_type: 'tasks' });
  return { account, lambdaId };
}

/** Asks again until some host answers: a host that is down, or stops, refuses nothing for good. */
export async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const down =
        error instanceof LambdaConnectionError ||
        error instanceof LambdaTimeoutError ||
        (error instanceof LambdaApiError && (error.statusCode === 503 || error.statusCode === 502));
      if (!down) throw error;
      await pause(RETRY_MS);
    }
  }
}

/** Creates all tasks; resolves with the first number of each that was acknowledged, by its id. */
export async function createAll(api: () => LambdaApi, lambdaId: string): Promise<Map<number, number>> {
  const acknowledged = new Map<number, number>();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < SIZE.tasks; at = next++) {
      const first = at * SIZE.subtasks;
      const content = { lambda_id: lambdaId, first, count: SIZE.subtasks };
      const { json } = await persistently(() => api().createTask({ content }));
      acknowledged.set(json.task_id, first);
    }
  };
  await Promise.all(Array.from({ length: CREATED_AT_ONCE }, worker));
  return acknowledged;
}

/** How many have ended, in the state in which they should. */
export const ended = async (api: () => LambdaApi): Promise<number> =>
  (await persistently(() => api().getTasks({ status: 'done', pageSize: 1 }))).json.total;

/** Every acknowledged task, subtask by subtask. */
export async function verify(api: () => LambdaApi, acknowledged: ReadonlyMap<number, number>): Promise<void> {
  assert.equal(acknowledged.size, SIZE.tasks);
  for (const [taskId, first] of acknowledged) {
    const { json } = await persistently(() => api().getTaskResult({ taskId }));
    assert.equal(json.status, 'done', `task ${taskId}`);
    assert.deepEqual(json.progress, { done: SIZE.subtasks, failed: 0, canceled: 0, total: SIZE.subtasks });
    assert.deepEqual(
      json.results,
      Array.from({ length: SIZE.subtasks }, (_, at) => ({
        subtask_id: at + 1,
        status: 'done',
        result: expected(first + at),
      })),
      `task ${taskId}`,
    );
  }
}

/** Executions that this host, in this life, has stored the outcome of. */
export async function executed(host: TestHost): Promise<number> {
  const { text } = await host.operator.getMetrics();
  return Number(/^isolambda_subtasks_total\{outcome="done"\} (\d+)/m.exec(text)?.[1] ?? 0);
}

export const since = (startedMs: number): string =>
  `${((performance.now() - startedMs) / 1_000).toFixed(1)} s`;
