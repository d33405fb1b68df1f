/** What the API shows of a task. */
import type { SubtaskRecord, SubtaskResult, TaskRecord } from '../tasks/types.ts';
import type { Subtask, Task, TaskError } from '../schemas/index.ts';
import { timestamp } from './time.ts';

export const taskView = (task: TaskRecord): Task => ({
  task_id: task.id,
  account_id: task.accountId,
  lambda_id: task.lambdaId,
  description: task.description,
  status: task.state,
  progress: { done: task.done, failed: task.failed, canceled: task.canceled, total: task.total },
  error: errorView(task.error),
  retry: {
    max_attempts: task.policy.maxAttempts,
    backoff_ms: task.policy.backoffMs,
    max_backoff_ms: task.policy.maxBackoffMs,
  },
  subtask_timeout_ms: task.policy.subtaskTimeoutMs,
  created_at: timestamp(task.createdAt),
  started_at: timeOrNull(task.startedAt),
  ended_at: timeOrNull(task.endedAt),
});

export const subtaskView = (subtask: SubtaskRecord): Subtask => ({
  subtask_id: subtask.id,
  status: subtask.state,
  attempts: subtask.attempts,
  error: errorView(subtask.error),
  started_at: timeOrNull(subtask.startedAt),
  ended_at: timeOrNull(subtask.endedAt),
});

/**
 * The text of a TaskResult, piece by piece: the results of a task may be more than a host should hold at once. Each is
 * stored as JSON that was checked, and is not parsed again.
 */
export async function* resultText(
  task: TaskRecord,
  results: AsyncIterable<SubtaskResult>,
): AsyncGenerator<string> {
  const { task_id, status, progress, error } = taskView(task);
  yield `${JSON.stringify({ task_id, status, progress, error }).slice(0, -1)},"results":[`;
  let first = true;
  for await (const { id, state, result, error: failed } of results) {
    const value = result !== null ? `,"result":${result}` : failed !== null ? `,"error":${failed}` : '';
    yield `${first ? '' : ','}{"subtask_id":${id},"status":"${state}"${value}}`;
    first = false;
  }
  yield ']}';
}

const errorView = (text: string | null): TaskError | null =>
  text === null ? null : (JSON.parse(text) as TaskError);
const timeOrNull = (time: number | null): string | null => (time === null ? null : timestamp(time));
