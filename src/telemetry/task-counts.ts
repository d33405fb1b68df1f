import { Counter, Histogram, type Registry } from 'prom-client';

/** What is counted of tasks, with labels from closed lists. */
export interface TaskCounts {
  /** One has ended. */
  task(state: string): void;
  /** A subtask was executed, and what became of it is stored. */
  subtask(outcome: string, wallMs: number): void;
}

export function createTaskCounts(registry: Registry): TaskCounts {
  const registers = [registry];
  const tasks = new Counter({
    name: 'isolambda_tasks_total',
    help: 'Tasks that ended, by how.',
    labelNames: ['state'],
    registers,
  });
  const subtasks = new Counter({
    name: 'isolambda_subtasks_total',
    help: 'Executions of subtasks by what became of them: "again" waits to be executed once more, "gone" was taken over by another host.',
    labelNames: ['outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'isolambda_subtask_duration_seconds',
    help: 'Wall time of executions of subtasks, from the claim until the outcome was stored.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  });
  return {
    task: (state) => tasks.inc({ state }),
    subtask(outcome, wallMs) {
      subtasks.inc({ outcome });
      seconds.observe(wallMs / 1_000);
    },
  };
}
