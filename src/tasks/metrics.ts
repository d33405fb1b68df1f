import type { Settled } from '../store/task-claim-types.ts';
import type { TaskState } from '../store/tasks.ts';

/** What is counted of tasks; every label comes from a closed list. */
export interface TaskMetrics {
  task(state: TaskState): void;
  subtask(outcome: Settled, wallMs: number): void;
}
