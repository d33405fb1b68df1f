import type { SubtaskKey } from '../store/task-claim-types.ts';
import type {
  SubtaskRecord,
  SubtaskResult,
  SubtaskState,
  TaskFilter,
  TaskPolicy,
  TaskRecord,
} from '../store/tasks.ts';
import type { Page, PageRequest } from '../store/types.ts';

export type { SubtaskKey } from '../store/task-claim-types.ts';
export { SUBTASK_STATES, TASK_STATES } from '../store/tasks.ts';
export type {
  SubtaskRecord,
  SubtaskResult,
  SubtaskState,
  TaskFilter,
  TaskPolicy,
  TaskRecord,
  TaskState,
} from '../store/tasks.ts';

export interface TaskRequest {
  readonly accountId: string;
  /** Of type `tasks`, and of that account. */
  readonly lambdaId: string;
  readonly description: string;
  /** JSON. */
  readonly content: string;
  readonly policy: TaskPolicy;
  /** A request that comes again with it gets the task that is there. */
  readonly idempotencyKey?: string | undefined;
  /** W3C trace context of who creates it: its executions belong to that trace. */
  readonly traceparent?: string | undefined;
}

export interface TaskCreated {
  readonly taskId: number;
  /** It was there already. */
  readonly replayed: boolean;
}

/** Work of lambdas of type `tasks`, from its acknowledgement to its result. */
export interface Tasks {
  /**
   * Once it resolves, the task goes on whatever happens to this host. `mayCreate` throws where there may be no new one. Errors:
   * `quota_exceeded`, `request_too_large`; `conflict` where another request had the same key.
   */
  create(request: TaskRequest, mayCreate: () => void): Promise<TaskCreated>;
  get(taskId: number): Promise<TaskRecord | undefined>;
  /** JSON. */
  content(taskId: number): Promise<string | undefined>;
  list(filter: TaskFilter): Promise<Page<TaskRecord>>;
  subtasks(
    taskId: number,
    filter: PageRequest & { readonly state?: SubtaskState | undefined },
  ): Promise<Page<SubtaskRecord>>;
  /** Of each subtask, in the order of the split; read in pages, as they are asked for. */
  results(taskId: number): AsyncGenerator<SubtaskResult>;
  /** What waits is cancelled, what runs is asked to end. Error `conflict` where the task has ended otherwise. */
  cancel(taskId: number): Promise<TaskRecord | undefined>;
  /** With its subtasks and results; what runs of it is ended. */
  delete(taskId: number): Promise<void>;
  start(): Promise<void>;
  /** Takes nothing more, lets what runs end within the grace time, and leaves the rest to the next host; idempotent. */
  stop(graceMs: number): Promise<void>;
}

/** Brings subtasks to the hosts that execute them, where that is not left to the store. */
export interface SubtaskBroker {
  start(work: SubtaskWork): void;
  /** Those of a task that was just split, or whose pause is over. What it forgets it finds as `unoffered` or `unqueued`. */
  offer(keys: readonly SubtaskKey[]): void;
  /** Takes nothing more. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** What a broker needs of the tasks. */
export interface SubtaskWork {
  /** Executes it, if it still waits; resolves when what became of it is stored. */
  execute(key: SubtaskKey): Promise<void>;
  accountsWithWork(): Promise<string[]>;
  /** Subtasks of the account at once, on this host. */
  parallelism(accountId: string): number;
  /** Waiting ones that are due since then (epoch milliseconds), and that no broker was given. */
  unoffered(dueBefore: number, limit: number): Promise<SubtaskKey[]>;
  /** Waiting ones that a broker was given before then (epoch milliseconds), and not since. */
  unqueued(queuedBefore: number, limit: number): Promise<SubtaskKey[]>;
  markQueued(keys: readonly SubtaskKey[]): Promise<void>;
}
