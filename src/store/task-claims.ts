/**
 * What the hosts that execute tasks read and write. Several may share one database: whatever is taken is taken by a
 * conditional update, and whatever is ended names the claim that it ends, so that a result is stored once however often
 * its subtask ran. Methods that say so write more than one row, and belong into a transaction. All of these take a task's
 * own row first, then its subtasks', tasks in the order of their ids: two hosts can't wait for each other.
 */
import { sql, type Selectable, type SelectQueryBuilder } from 'kysely';
import { chunks, type Database } from './database.ts';
import type { Schema, SubtasksTable } from './schema.ts';
import type {
  Settled,
  SplitClaim,
  SubtaskClaim,
  SubtaskEnd,
  SubtaskKey,
  TaskClaimsRepository,
  TaskEnded,
} from './task-claim-types.ts';
import { SUBTASK_ROW_BYTES, type TaskPolicy, type TaskState } from './tasks.ts';

const CLAIM_COLUMNS = [
  'task_id',
  'id',
  'account_id',
  'lambda_id',
  'content',
  'worker',
  'tries',
  'attempts',
  'losses',
] as const;
const SPLIT_COLUMNS = [
  'id',
  'account_id',
  'lambda_id',
  'content',
  'policy',
  'worker',
  'tries',
  'attempts',
  'losses',
] as const;

type WaitingQuery = SelectQueryBuilder<Schema, 'subtasks', Selectable<SubtasksTable>>;

// As literals: the indexes hold these states alone, and are used only where the statement says so.
const WAITING = sql.lit('waiting');
const RUNNING = sql.lit('running');

export function taskClaimsRepository(db: Database): TaskClaimsRepository {
  const living = (now: number) =>
    db.selectFrom('task_workers').select('task_workers.id').where('expires_at', '>', now);

  /** Takes the task's row, so that nobody else changes it or its counts until the transaction ends. */
  const lockTask = (taskId: number, now: number) =>
    db
      .updateTable('tasks')
      .set({ updated_at: now })
      .where('id', '=', taskId)
      .returning(['account_id', 'state', 'total', 'done', 'failed', 'canceled', 'result_bytes'])
      .executeTakeFirst();

  return {
    async heartbeat(worker, expiresAt) {
      await db
        .insertInto('task_workers')
        .values({ id: worker, expires_at: expiresAt })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ expires_at: expiresAt }))
        .execute();
    },
    async retire(worker, now) {
      await db
        .deleteFrom('task_workers')
        .where((where) => where.or([where('id', '=', worker), where('expires_at', '<', now)]))
        .execute();
    },
    async accountsWithWork() {
      const rows = await db
        .selectFrom('tasks')
        .select('account_id')
        .distinct()
        .where('ended_at', 'is', null)
        .execute();
      return rows.map((row) => row.account_id);
    },
    async claimSplits({ worker, accountId, now, limit, exceptLambdas }) {
      const rows = await db
        .updateTable('tasks')
        .set((set) => ({
          state: 'splitting',
          worker,
          tries: set('tries', '+', 1),
          started_at: set.fn.coalesce('started_at', sql<number>`${now}`),
          updated_at: now,
        }))
        .where('state', '=', WAITING)
        .where(
          'id',
          'in',
          db
            .selectFrom('tasks')
            .select('id')
            .where('ended_at', 'is', null)
            .where('account_id', '=', accountId)
            .where('state', '=', WAITING)
            .where('run_at', '<=', now)
            .$if(exceptLambdas.length > 0, (query) => query.where('lambda_id', 'not in', exceptLambdas))
            .orderBy('run_at')
            .orderBy('id')
            .limit(limit),
        )
        .returning(SPLIT_COLUMNS)
        .execute();
      return rows.map(splitClaim);
    },
    async claimSubtasks({ worker, accountId, now, limit, exceptLambdas }) {
      const rows = await db
        .updateTable('subtasks')
        .set(claimed(worker, now))
        .where('state', '=', WAITING)
        .where((where) =>
          where(
            where.refTuple('task_id', 'id'),
            'in',
            where
              .selectFrom('subtasks')
              .select(['task_id', 'id'])
              .where('account_id', '=', accountId)
              .where('state', '=', WAITING)
              .where('run_at', '<=', now)
              .$if(exceptLambdas.length > 0, (query) => query.where('lambda_id', 'not in', exceptLambdas))
              .orderBy('id')
              .orderBy('run_at')
              .orderBy('task_id')
              .limit(limit)
              .$asTuple('task_id', 'id'),
          ),
        )
        .returning(CLAIM_COLUMNS)
        .execute();
      return rows.map(subtaskClaim);
    },
    async claimSubtask(worker, { taskId, subtaskId }, now) {
      const row = await db
        .updateTable('subtasks')
        .set(claimed(worker, now))
        .where('task_id', '=', taskId)
        .where('id', '=', subtaskId)
        .where('state', '=', WAITING)
        .returning(CLAIM_COLUMNS)
        .executeTakeFirst();
      return row && subtaskClaim(row);
    },
    async policies(taskIds) {
      const found: { taskId: number; policy: TaskPolicy }[] = [];
      for (const some of chunks(taskIds)) {
        const rows = await db.selectFrom('tasks').select(['id', 'policy']).where('id', 'in', some).execute();
        for (const { id, policy } of rows)
          found.push({ taskId: id, policy: JSON.parse(policy) as TaskPolicy });
      }
      return found;
    },
    async settleSplit(claim, end, now) {
      const { attempts, losses } = end;
      const parts = end.kind === 'split' ? end.parts : [];
      const bytes = parts.reduce((sum, part) => sum + Buffer.byteLength(part) + SUBTASK_ROW_BYTES, 0);
      const ended = end.kind === 'failed' || (end.kind === 'split' && parts.length === 0);
      const state: TaskState =
        end.kind === 'again' ? 'waiting' : end.kind === 'failed' ? 'failed' : ended ? 'done' : 'running';
      const { numUpdatedRows } = await db
        .updateTable('tasks')
        .set((set) => ({
          state,
          worker: null,
          attempts,
          losses,
          bytes: set('bytes', '+', bytes),
          updated_at: now,
          ...(end.kind === 'split' ? { total: parts.length } : {}),
          ...(end.kind === 'again' ? { run_at: end.runAt } : {}),
          ...(end.kind === 'failed' ? { error: end.error } : {}),
          ...(ended ? { ended_at: now } : {}),
        }))
        .where('id', '=', claim.taskId)
        .where('state', '=', 'splitting')
        .where('worker', '=', claim.worker)
        .where('tries', '=', claim.tries)
        .executeTakeFirst();
      if (numUpdatedRows === 0n) return false;
      let id = 0;
      for (const some of chunks(parts)) {
        await db
          .insertInto('subtasks')
          .values(
            some.map((content) => ({
              task_id: claim.taskId,
              id: ++id,
              account_id: claim.accountId,
              lambda_id: claim.lambdaId,
              content,
              state: 'waiting',
              run_at: now,
              queued_at: null,
              tries: 0,
              attempts: 0,
              losses: 0,
              worker: null,
              result: null,
              error: null,
              started_at: null,
              ended_at: null,
            })),
          )
          .execute();
      }
      return true;
    },
    async settle(settlements, { resultBytes, tooLarge }, now) {
      const settled: Settled[] = settlements.map(() => 'gone');
      const ended: TaskEnded[] = [];
      const order = [...settlements.keys()].sort(
        (a, b) =>
          settlements[a]!.claim.taskId - settlements[b]!.claim.taskId ||
          settlements[a]!.claim.subtaskId - settlements[b]!.claim.subtaskId,
      );
      for (let from = 0; from < order.length;) {
        const { taskId } = settlements[order[from]!]!.claim;
        let to = from;
        while (to < order.length && settlements[order[to]!]!.claim.taskId === taskId) to++;
        const task = await lockTask(taskId, now);
        if (task === undefined) {
          from = to;
          continue;
        }
        const counts = { done: 0, failed: 0, canceled: 0 };
        const allowed = resultBytes(task.account_id);
        let added = 0;
        for (const at of order.slice(from, to)) {
          const { claim, attempts, losses, end: given } = settlements[at]!;
          let end = given;
          if (end.kind === 'again' && task.state === 'canceling') end = { kind: 'canceled' };
          const bytes = end.kind === 'done' ? Buffer.byteLength(end.result) : 0;
          if (end.kind === 'done' && task.result_bytes + added + bytes > allowed)
            end = { kind: 'failed', error: tooLarge(allowed) };
          const { numUpdatedRows } = await db
            .updateTable('subtasks')
            .set({ ...endColumns(end, now), attempts, losses, worker: null })
            .where('task_id', '=', taskId)
            .where('id', '=', claim.subtaskId)
            .where('state', '=', RUNNING)
            .where('worker', '=', claim.worker)
            .where('tries', '=', claim.tries)
            .executeTakeFirst();
          if (numUpdatedRows === 0n) continue;
          settled[at] = end.kind;
          if (end.kind !== 'again') counts[end.kind]++;
          if (end.kind === 'done') added += bytes;
        }
        from = to;
        if (counts.done + counts.failed + counts.canceled === 0) continue;
        const state = await count(taskId, task, counts, added, now);
        if (state !== undefined) ended.push({ taskId, state });
      }
      return { settled, ended };
    },
    async lostSubtasks(now, limit) {
      const rows = await db
        .selectFrom('subtasks')
        .select(CLAIM_COLUMNS)
        .where('state', '=', RUNNING)
        .where('worker', 'not in', living(now))
        .limit(limit)
        .execute();
      return rows.map(subtaskClaim);
    },
    async lostSplits(now, limit) {
      const rows = await db
        .selectFrom('tasks')
        .select(SPLIT_COLUMNS)
        .where('ended_at', 'is', null)
        .where('state', '=', 'splitting')
        .where('worker', 'not in', living(now))
        .limit(limit)
        .execute();
      return rows.map(splitClaim);
    },
    async cancel(taskId, now) {
      const task = await lockTask(taskId, now);
      if (task === undefined) return undefined;
      const state = task.state as TaskState;
      switch (state) {
        case 'waiting':
        case 'splitting':
          await db
            .updateTable('tasks')
            .set({ state: 'canceled', worker: null, ended_at: now })
            .where('id', '=', taskId)
            .execute();
          return 'canceled';
        case 'running': {
          const { numUpdatedRows } = await db
            .updateTable('subtasks')
            .set({ state: 'canceled', ended_at: now })
            .where('task_id', '=', taskId)
            .where('state', '=', WAITING)
            .executeTakeFirst();
          await db.updateTable('tasks').set({ state: 'canceling' }).where('id', '=', taskId).execute();
          const canceling = { ...task, state: 'canceling' };
          const counts = { done: 0, failed: 0, canceled: Number(numUpdatedRows) };
          return (await count(taskId, canceling, counts, 0, now)) ?? 'canceling';
        }
        case 'canceling':
        case 'done':
        case 'failed':
        case 'canceled':
          return state;
      }
    },
    async states(taskIds) {
      const states = new Map<number, TaskState>();
      for (const some of chunks(taskIds)) {
        const rows = await db.selectFrom('tasks').select(['id', 'state']).where('id', 'in', some).execute();
        for (const { id, state } of rows) states.set(id, state as TaskState);
      }
      return states;
    },
    unoffered: (dueBefore, limit) =>
      waiting(limit, (query) => query.where('run_at', '<=', dueBefore).where('queued_at', 'is', null)),
    unqueued: (queuedBefore, limit) => waiting(limit, (query) => query.where('queued_at', '<', queuedBefore)),
    async markQueued(keys, now) {
      const byTask = Map.groupBy(keys, ({ taskId }) => taskId);
      for (const [taskId, ofTask] of byTask)
        for (const some of chunks(ofTask.map(({ subtaskId }) => subtaskId)))
          await db
            .updateTable('subtasks')
            .set({ queued_at: now })
            .where('task_id', '=', taskId)
            .where('id', 'in', some)
            .where('state', '=', WAITING)
            .execute();
    },
    async lambdaExists(lambdaId) {
      const row = await db.selectFrom('lambdas').select('id').where('id', '=', lambdaId).executeTakeFirst();
      return row !== undefined;
    },
  };

  async function waiting(
    limit: number,
    narrow: (query: WaitingQuery) => WaitingQuery,
  ): Promise<SubtaskKey[]> {
    const rows = await narrow(db.selectFrom('subtasks').selectAll().where('state', '=', WAITING))
      .clearSelect()
      .select(['account_id', 'lambda_id', 'task_id', 'id'])
      .orderBy('run_at')
      .limit(limit)
      .execute();
    return rows.map((row) => ({
      accountId: row.account_id,
      lambdaId: row.lambda_id,
      taskId: row.task_id,
      subtaskId: row.id,
    }));
  }

  /** Adds to the counts of a task whose row is taken; the state that it has ended in, where it has. */
  async function count(
    taskId: number,
    task: {
      readonly state: string;
      readonly total: number | null;
      readonly done: number;
      readonly failed: number;
      readonly canceled: number;
    },
    more: { readonly done: number; readonly failed: number; readonly canceled: number },
    bytes: number,
    now: number,
  ): Promise<TaskState | undefined> {
    const done = task.done + more.done;
    const failed = task.failed + more.failed;
    const canceled = task.canceled + more.canceled;
    const state: TaskState | undefined =
      done + failed + canceled < (task.total ?? Infinity)
        ? undefined
        : task.state === 'canceling'
          ? 'canceled'
          : 'done';
    await db
      .updateTable('tasks')
      .set((set) => ({
        done,
        failed,
        canceled,
        bytes: set('bytes', '+', bytes),
        result_bytes: set('result_bytes', '+', bytes),
        ...(state === undefined ? {} : { state, ended_at: now }),
      }))
      .where('id', '=', taskId)
      .execute();
    return state;
  }
}

const claimed = (worker: string, now: number) => ({
  state: 'running',
  worker,
  tries: sql<number>`tries + 1`,
  started_at: sql<number>`coalesce(started_at, ${now})`,
});

function endColumns(end: SubtaskEnd, now: number) {
  switch (end.kind) {
    case 'done':
      return { state: 'done', result: end.result, ended_at: now };
    case 'failed':
      return { state: 'failed', error: end.error, ended_at: now };
    case 'canceled':
      return { state: 'canceled', ended_at: now };
    case 'again':
      return { state: 'waiting', run_at: end.runAt, queued_at: null };
  }
}

function splitClaim(row: {
  id: number;
  account_id: string;
  lambda_id: string;
  content: string;
  policy: string;
  worker: string | null;
  tries: number;
  attempts: number;
  losses: number;
}): SplitClaim {
  return {
    taskId: row.id,
    accountId: row.account_id,
    lambdaId: row.lambda_id,
    content: row.content,
    policy: JSON.parse(row.policy) as TaskPolicy,
    worker: row.worker ?? '',
    tries: row.tries,
    attempts: row.attempts,
    losses: row.losses,
  };
}

function subtaskClaim(row: Pick<Selectable<SubtasksTable>, (typeof CLAIM_COLUMNS)[number]>): SubtaskClaim {
  return {
    taskId: row.task_id,
    subtaskId: row.id,
    accountId: row.account_id,
    lambdaId: row.lambda_id,
    content: row.content,
    worker: row.worker ?? '',
    tries: row.tries,
    attempts: row.attempts,
    losses: row.losses,
  };
}
