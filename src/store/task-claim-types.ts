/** What a worker claims of a task, and what becomes of it. Times are epoch milliseconds. */
import type { TaskPolicy, TaskState } from './tasks.ts';

/** How its subtasks are executed. */
export interface TaskTerms {
  readonly policy: TaskPolicy;
  /** W3C trace context of the request that created it. */
  readonly traceparent: string | null;
}

/** A task that this worker has to split. */
export interface SplitClaim extends TaskTerms {
  readonly taskId: number;
  readonly accountId: string;
  readonly lambdaId: string;
  /** JSON. */
  readonly content: string;
  readonly worker: string;
  readonly tries: number;
  readonly attempts: number;
  readonly losses: number;
}

/** A subtask that this worker has to execute. */
export interface SubtaskClaim {
  readonly taskId: number;
  readonly subtaskId: number;
  readonly accountId: string;
  readonly lambdaId: string;
  /** JSON. */
  readonly content: string;
  readonly worker: string;
  readonly tries: number;
  readonly attempts: number;
  readonly losses: number;
}

export interface SubtaskKey {
  readonly accountId: string;
  readonly lambdaId: string;
  readonly taskId: number;
  readonly subtaskId: number;
}

/** What becomes of a claimed subtask. */
export type SubtaskEnd =
  | { readonly kind: 'done'; readonly result: string }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'canceled' }
  /** It waits again; where its task is being cancelled, it is cancelled. */
  | { readonly kind: 'again'; readonly runAt: number };

export interface Settlement {
  readonly claim: Omit<SubtaskClaim, 'content' | 'accountId' | 'lambdaId'>;
  /** To be stored with it. */
  readonly attempts: number;
  readonly losses: number;
  readonly end: SubtaskEnd;
}

export type SplitEnd =
  | { readonly kind: 'split'; readonly parts: readonly string[] }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'again'; readonly runAt: number };

/** How a settlement went: `gone` where the claim was no longer this worker's. */
export type Settled = SubtaskEnd['kind'] | 'gone';

export interface TaskEnded {
  readonly taskId: number;
  readonly state: TaskState;
}

export interface Claiming {
  readonly worker: string;
  readonly accountId: string;
  readonly now: number;
  readonly limit: number;
  /** Lambdas that can't run now. */
  readonly exceptLambdas: readonly string[];
}

export interface TaskSettlements {
  /** In a transaction. False where the claim was no longer this worker's. */
  settleSplit(
    claim: SplitClaim,
    end: SplitEnd & { readonly attempts: number; readonly losses: number },
    now: number,
  ): Promise<boolean>;
  /** In a transaction: each is stored at most once, and counted in its task, which ends with its last one. */
  settle(
    settlements: readonly Settlement[],
    limits: {
      readonly resultBytes: (accountId: string) => number;
      readonly tooLarge: (limit: number) => string;
    },
    now: number,
  ): Promise<{ readonly settled: readonly Settled[]; readonly ended: readonly TaskEnded[] }>;
  /** In a transaction. The state that the task has now; undefined where there is none. */
  cancel(taskId: number, now: number): Promise<TaskState | undefined>;
}

export interface TaskOffers {
  /** Waiting ones that are due since then, and that no broker was given. */
  unoffered(dueBefore: number, limit: number): Promise<SubtaskKey[]>;
  /** Waiting ones that a broker was given before then, and not since. */
  unqueued(queuedBefore: number, limit: number): Promise<SubtaskKey[]>;
  markQueued(keys: readonly SubtaskKey[], now: number): Promise<void>;
}

export interface TaskClaimsRepository extends TaskSettlements, TaskOffers {
  heartbeat(worker: string, expiresAt: number): Promise<void>;
  /** What it still has claimed is void from then on. Forgets workers that expired before `now`, too. */
  retire(worker: string, now: number): Promise<void>;
  /** With tasks that have not ended. */
  accountsWithWork(): Promise<string[]>;
  claimSplits(claiming: Claiming): Promise<SplitClaim[]>;
  /** Those that come first in their tasks, so that no task is held up by a larger one before it. */
  claimSubtasks(claiming: Claiming): Promise<SubtaskClaim[]>;
  /** One that a message names; undefined where it doesn't wait any more. */
  claimSubtask(
    worker: string,
    key: Pick<SubtaskKey, 'taskId' | 'subtaskId'>,
    now: number,
  ): Promise<SubtaskClaim | undefined>;
  /** Undefined where there is no such task. */
  terms(taskId: number): Promise<TaskTerms | undefined>;
  /** Claims of workers that have expired. */
  lostSubtasks(now: number, limit: number): Promise<SubtaskClaim[]>;
  lostSplits(now: number, limit: number): Promise<SplitClaim[]>;
  /** Of those that exist. */
  states(taskIds: readonly number[]): Promise<Map<number, TaskState>>;
  lambdaExists(lambdaId: string): Promise<boolean>;
}
