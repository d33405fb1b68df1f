import type { Selectable } from 'kysely';
import { lock, type Database } from './database.ts';
import type { SubtasksTable, TasksTable } from './schema.ts';
import type { Page, PageRequest } from './types.ts';

export const TASK_STATES = [
  'waiting', // to be split
  'splitting',
  'running',
  'canceling', // what runs was asked to end
  'done', // every subtask has ended, whichever way
  'failed', // it could not be split
  'canceled',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const SUBTASK_STATES = ['waiting', 'running', 'done', 'failed', 'canceled'] as const;
export type SubtaskState = (typeof SUBTASK_STATES)[number];

/** How the subtasks of one task are executed. */
export interface TaskPolicy {
  /** Executions of one subtask, the first included. */
  readonly maxAttempts: number;
  /** Pause before the second execution; doubles each time. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Wall time of one execution; the lambda's own `timeout_ms` where it is less. */
  readonly subtaskTimeoutMs: number | null;
}

export interface TaskRecord {
  readonly id: number;
  readonly accountId: string;
  readonly lambdaId: string;
  readonly description: string;
  readonly state: TaskState;
  /** JSON. */
  readonly error: string | null;
  readonly policy: TaskPolicy;
  readonly total: number | null;
  readonly done: number;
  readonly failed: number;
  readonly canceled: number;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export interface SubtaskRecord {
  readonly id: number;
  readonly state: SubtaskState;
  readonly attempts: number;
  /** JSON. */
  readonly error: string | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export interface SubtaskResult {
  readonly id: number;
  readonly state: SubtaskState;
  /** JSON. */
  readonly result: string | null;
  /** JSON. */
  readonly error: string | null;
}

export interface TaskFilter extends PageRequest {
  readonly accountId?: string | undefined;
  readonly lambdaId?: string | undefined;
  readonly state?: TaskState | undefined;
}

export interface NewTask {
  readonly id: number;
  readonly accountId: string;
  readonly lambdaId: string;
  readonly description: string;
  /** JSON. */
  readonly content: string;
  readonly policy: TaskPolicy;
  readonly createdAt: number;
  readonly key?: TaskKey | undefined;
  readonly traceparent?: string | undefined;
}

/** By which a request that comes again is known. */
export interface TaskKey {
  /** Unique within the account. */
  readonly key: string;
  readonly requestHash: string;
}

/** What a row takes besides the texts in it: tasks of nothing are not for nothing. */
export const TASK_ROW_BYTES = 512;
export const SUBTASK_ROW_BYTES = 256;

export interface TasksRepository {
  /** False where the id is taken. */
  insert(task: NewTask): Promise<boolean>;
  /**
   * Of one account: tasks that have not ended, and bytes of all that are kept. In a transaction: until its end no other host
   * adds to them, so that what is checked against a limit holds.
   */
  held(accountId: string): Promise<{ readonly unfinished: number; readonly bytes: number }>;
  /** The task that was created with that key. */
  byKey(
    accountId: string,
    key: string,
  ): Promise<{ readonly id: number; readonly requestHash: string } | undefined>;
  get(id: number): Promise<TaskRecord | undefined>;
  /** The task's content, JSON. */
  content(id: number): Promise<string | undefined>;
  /** Newest first. */
  list(filter: TaskFilter): Promise<Page<TaskRecord>>;
  subtasks(
    taskId: number,
    filter: PageRequest & { readonly state?: SubtaskState | undefined },
  ): Promise<Page<SubtaskRecord>>;
  /** In the order of the split, those after `afterId`. */
  results(taskId: number, afterId: number, limit: number): Promise<SubtaskResult[]>;
  /** With its subtasks; false where there was none. */
  delete(id: number): Promise<boolean>;
  /** Deletes up to `limit` tasks that ended before then; returns how many. */
  deleteEndedBefore(time: number, limit: number): Promise<number>;
}

const COLUMNS = [
  'id',
  'account_id',
  'lambda_id',
  'description',
  'state',
  'error',
  'policy',
  'total',
  'done',
  'failed',
  'canceled',
  'created_at',
  'started_at',
  'ended_at',
] as const;

export function tasksRepository(db: Database): TasksRepository {
  return {
    async insert(task) {
      const { numInsertedOrUpdatedRows: inserted } = await db
        .insertInto('tasks')
        .values({
          id: task.id,
          account_id: task.accountId,
          lambda_id: task.lambdaId,
          description: task.description,
          content: task.content,
          state: 'waiting',
          error: null,
          policy: JSON.stringify(task.policy),
          total: null,
          done: 0,
          failed: 0,
          canceled: 0,
          bytes: TASK_ROW_BYTES + Buffer.byteLength(task.content),
          result_bytes: 0,
          run_at: task.createdAt,
          tries: 0,
          attempts: 0,
          losses: 0,
          worker: null,
          created_at: task.createdAt,
          updated_at: task.createdAt,
          started_at: null,
          ended_at: null,
          idempotency_key: task.key?.key ?? null,
          request_hash: task.key?.requestHash ?? null,
          traceparent: task.traceparent ?? null,
        })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirst();
      return inserted === 1n;
    },
    async held(accountId) {
      await lock(db, `tasks of ${accountId}`);
      const row = await db
        .selectFrom('tasks')
        .select(({ fn }) => [
          fn.count<number>('id').filterWhere('ended_at', 'is', null).as('unfinished'),
          fn.sum<number | null>('bytes').as('bytes'),
        ])
        .where('account_id', '=', accountId)
        .executeTakeFirstOrThrow();
      // PostgreSQL gives sums of bigints as text.
      return { unfinished: Number(row.unfinished), bytes: Number(row.bytes ?? 0) };
    },
    async byKey(accountId, key) {
      const row = await db
        .selectFrom('tasks')
        .select(['id', 'request_hash'])
        .where('account_id', '=', accountId)
        .where('idempotency_key', '=', key)
        .executeTakeFirst();
      return row && { id: row.id, requestHash: row.request_hash ?? '' };
    },
    async get(id) {
      const row = await db.selectFrom('tasks').select(COLUMNS).where('id', '=', id).executeTakeFirst();
      return row && record(row);
    },
    async content(id) {
      const row = await db.selectFrom('tasks').select('content').where('id', '=', id).executeTakeFirst();
      return row?.content;
    },
    async list({ accountId, lambdaId, state, page, pageSize }) {
      const matching = db
        .selectFrom('tasks')
        .$if(accountId !== undefined, (query) => query.where('account_id', '=', accountId!))
        .$if(lambdaId !== undefined, (query) => query.where('lambda_id', '=', lambdaId!))
        .$if(state !== undefined, (query) => query.where('state', '=', state!));
      const rows = await matching
        .select(COLUMNS)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(pageSize)
        .offset((page - 1) * pageSize)
        .execute();
      const { total } = await matching
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return { items: rows.map(record), total: Number(total), page, pageSize };
    },
    async subtasks(taskId, { state, page, pageSize }) {
      const matching = db
        .selectFrom('subtasks')
        .where('task_id', '=', taskId)
        .$if(state !== undefined, (query) => query.where('state', '=', state!));
      const rows = await matching
        .select(['id', 'state', 'attempts', 'error', 'started_at', 'ended_at'])
        .orderBy('id')
        .limit(pageSize)
        .offset((page - 1) * pageSize)
        .execute();
      const { total } = await matching
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow();
      return { items: rows.map(subtask), total: Number(total), page, pageSize };
    },
    async results(taskId, afterId, limit) {
      const rows = await db
        .selectFrom('subtasks')
        .select(['id', 'state', 'result', 'error'])
        .where('task_id', '=', taskId)
        .where('id', '>', afterId)
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map((row) => ({ ...row, state: row.state as SubtaskState }));
    },
    async delete(id) {
      const { numDeletedRows } = await db.deleteFrom('tasks').where('id', '=', id).executeTakeFirst();
      return numDeletedRows > 0n;
    },
    async deleteEndedBefore(time, limit) {
      const { numDeletedRows } = await db
        .deleteFrom('tasks')
        .where(
          'id',
          'in',
          db
            .selectFrom('tasks')
            .select('id')
            .where('ended_at', '<', time)
            .orderBy('ended_at')
            .orderBy('id')
            .limit(limit),
        )
        .executeTakeFirst();
      return Number(numDeletedRows);
    },
  };
}

function record(row: Pick<Selectable<TasksTable>, (typeof COLUMNS)[number]>): TaskRecord {
  return {
    id: row.id,
    accountId: row.account_id,
    lambdaId: row.lambda_id,
    description: row.description,
    state: row.state as TaskState,
    error: row.error,
    policy: JSON.parse(row.policy) as TaskPolicy,
    total: row.total,
    done: row.done,
    failed: row.failed,
    canceled: row.canceled,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}

function subtask(
  row: Pick<Selectable<SubtasksTable>, 'id' | 'state' | 'attempts' | 'error' | 'started_at' | 'ended_at'>,
): SubtaskRecord {
  return {
    id: row.id,
    state: row.state as SubtaskState,
    attempts: row.attempts,
    error: row.error,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}
