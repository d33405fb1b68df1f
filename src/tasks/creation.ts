import { hash, randomInt } from 'node:crypto';
import type { Limits } from '../config/limits.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { Registry } from '../registry/types.ts';
import type { Store } from '../store/store.ts';
import type { TaskKey } from '../store/tasks.ts';
import type { TaskCreated, TaskRequest } from './types.ts';

/** Ids are numbers, as the contract has them, of which nobody can tell how many tasks others have. */
const MAX_ID = 2 ** 48 - 1;

export interface CreationParts {
  readonly store: Store;
  readonly registry: Registry;
  /** Epoch milliseconds. */
  readonly createdAt: number;
}

/** Stores a new task, or finds the one that an earlier request with its key has made. See `Tasks.create`. */
export function createTask(
  { store, registry, createdAt }: CreationParts,
  request: TaskRequest,
  mayCreate: () => void,
): Promise<TaskCreated> {
  const { accountId, lambdaId, description, content, policy, traceparent } = request;
  const key = keyOf(request);
  return store.transaction(async (tx) => {
    // Until the end of the transaction nobody else adds to the account's tasks: two requests with one key make one.
    const held = await tx.tasks.held(accountId);
    const known = key && (await tx.tasks.byKey(accountId, key.key));
    if (known) {
      if (known.requestHash === key.requestHash) return { taskId: known.id, replayed: true };
      throw new IsolambdaError(
        'conflict',
        `task ${known.id} was created with this Idempotency-Key by another request: take a new key`,
      );
    }
    mayCreate();
    checkLimits(registry.limits(accountId), held, content);
    const task = { accountId, lambdaId, description, content, policy, createdAt, key, traceparent };
    for (;;) {
      const taskId = randomInt(1, MAX_ID);
      if (await tx.tasks.insert({ id: taskId, ...task })) return { taskId, replayed: false };
    }
  });
}

function keyOf({ idempotencyKey, lambdaId, description, content, policy }: TaskRequest): TaskKey | undefined {
  if (idempotencyKey === undefined) return undefined;
  const requestHash = hash('sha256', JSON.stringify([lambdaId, description, content, policy]), 'hex');
  return { key: idempotencyKey, requestHash };
}

function checkLimits(
  limits: Limits,
  held: { readonly unfinished: number; readonly bytes: number },
  content: string,
): void {
  const bytes = Buffer.byteLength(content);
  if (bytes > limits.task_content_bytes)
    throw new IsolambdaError(
      'request_too_large',
      `the content has ${bytes} bytes; allowed are ${limits.task_content_bytes} (task_content_bytes)`,
    );
  if (held.unfinished >= limits.tasks)
    throw new IsolambdaError(
      'quota_exceeded',
      `${held.unfinished} tasks of the account have not ended; its limit is ${limits.tasks} (tasks)`,
    );
  if (held.bytes + bytes > limits.tasks_bytes)
    throw new IsolambdaError(
      'quota_exceeded',
      `the account's tasks hold ${held.bytes} bytes; its limit is ${limits.tasks_bytes} (tasks_bytes): delete some that have ended`,
    );
}
