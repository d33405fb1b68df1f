/** How the commands show tasks. */
import { paint, type paintError } from './terminal.ts';
import type { TaskResultView, TaskRow } from './views.ts';

const BAR_CELLS = 24;

const COLOURS = {
  waiting: 'yellow',
  splitting: 'yellow',
  running: 'cyan',
  canceling: 'yellow',
  done: 'green',
  failed: 'red',
  canceled: 'yellow',
} as const satisfies Record<TaskRow['status'], Parameters<typeof paintError>[0]>;

export const statusText = (status: TaskRow['status']): string => paint(COLOURS[status], status);

/** `█████░░░░ 12/20, 1 failed`. */
export function progressBar({ done, failed, canceled, total }: TaskRow['progress']): string {
  if (total === null) return 'not split yet';
  const ended = done + failed + canceled;
  const cells = total === 0 ? BAR_CELLS : Math.floor((ended / total) * BAR_CELLS);
  const bar = '█'.repeat(cells) + '░'.repeat(BAR_CELLS - cells);
  const wrong = [failed > 0 ? `${failed} failed` : '', canceled > 0 ? `${canceled} canceled` : ''];
  return [`${bar} ${ended}/${total}`, ...wrong.filter(Boolean)].join(', ');
}

export function taskText(task: TaskRow): string {
  const { max_attempts: attempts, backoff_ms: backoff } = task.retry;
  return [
    `task ${paint('bold', String(task.task_id))} is ${statusText(task.status)}${task.error === null ? '' : `: ${task.error.detail}`}`,
    `  progress  ${progressBar(task.progress)}`,
    `  lambda    ${task.lambda_id}`,
    ...(task.description === '' ? [] : [`  about     ${task.description}`]),
    `  retry     ${attempts === 1 ? 'none' : `up to ${attempts} executions, ${backoff} ms before the second`}`,
    `  created   ${task.created_at}`,
    ...(task.started_at === null ? [] : [`  started   ${task.started_at}`]),
    ...(task.ended_at === null ? [] : [`  ended     ${task.ended_at}`]),
  ].join('\n');
}

export function resultText({ task_id, status, error, results }: TaskResultView): string {
  const rows = results.map(({ subtask_id, status: state, result, error: failed }) => {
    const said = failed === undefined ? JSON.stringify(result) : `${failed.desc}: ${failed.detail}`;
    return `  ${String(subtask_id).padStart(5)}  ${state === 'done' ? (said ?? '') : paint(state === 'failed' ? 'red' : 'yellow', `${state} ${said ?? ''}`.trim())}`;
  });
  return [
    `task ${task_id} is ${statusText(status)}${error === null ? '' : `: ${error.detail}`}`,
    ...rows,
  ].join('\n');
}
