import type { TaskDetail } from '../schemas/task.ts';
import { LambdaTimeoutError } from './errors.ts';
import { pause } from './wait.ts';

export interface TaskWaitOptions {
  readonly accountId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** By default it waits for as long as it takes. */
  readonly timeoutMs?: number | undefined;
  /** Hears of the task each time that it was looked at. */
  readonly onProgress?: ((task: TaskDetail) => void) | undefined;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
const LOOK_MS = 60_000;
const ENDED: ReadonlySet<string> = new Set(['done', 'failed', 'canceled']);

export async function pollUntilEnded(
  taskId: number,
  look: (timeoutMs: number) => Promise<TaskDetail>,
  { signal, timeoutMs = Infinity, onProgress }: TaskWaitOptions,
): Promise<TaskDetail> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    const task = await look(Math.ceil(Math.min(LOOK_MS, Math.max(1, deadline - performance.now()))));
    onProgress?.(task);
    if (ENDED.has(task.status)) return task;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0)
      throw new LambdaTimeoutError(`task ${taskId} is ${task.status} after ${timeoutMs} ms`, timeoutMs);
    await pause(Math.min(pauseMs, leftMs), signal);
  }
}
