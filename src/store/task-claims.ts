/**
 * What the hosts that execute tasks read and write. Several may share one database: whatever is taken is taken by a
 * conditional update, and whatever is ended names the claim that it ends, so that a result is stored once however often
 * its subtask ran.
 */
import { sql, type Selectable } from 'kysely';
import { chunks, type Database } from './database.ts';
import type { SubtasksTable, TasksTable } from './schema.ts';
import type { SplitClaim, SubtaskClaim, TaskClaimsRepository } from './task-claim-types.ts';
import { taskOffers } from './task-offers.ts';
import { taskSettlements } from './task-settlements.ts';
import { RUNNING, WAITING } from './task-states.ts';
import type { TaskPolicy, TaskState } from './tasks.ts';

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
  'traceparent',
  'worker',
  'tries',
  'attempts',
  'losses',
] as const;

export function taskClaimsRepository(db: Database): TaskClaimsRepository {
  const living = (now: number) =>
    db.selectFrom('task_workers').select('task_workers.id').where('expires_at', '>', now);

  return {
    ...taskSettlements(db),
    ...taskOffers(db),
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
    async terms(taskId) {
      const row = await db
        .selectFrom('tasks')
        .select(['policy', 'traceparent'])
        .where('id', '=', taskId)
        .executeTakeFirst();
      return row && { policy: JSON.parse(row.policy) as TaskPolicy, traceparent: row.traceparent };
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
    async states(taskIds) {
      const states = new Map<number, TaskState>();
      for (const some of chunks(taskIds)) {
        const rows = await db.selectFrom('tasks').select(['id', 'state']).where('id', 'in', some).execute();
        for (const { id, state } of rows) states.set(id, state as TaskState);
      }
      return states;
    },
    async lambdaExists(lambdaId) {
      const row = await db.selectFrom('lambdas').select('id').where('id', '=', lambdaId).executeTakeFirst();
      return row !== undefined;
    },
  };
}

const claimed = (worker: string, now: number) => ({
  state: 'running',
  worker,
  tries: sql<number>`tries + 1`,
  started_at: sql<number>`coalesce(started_at, ${now})`,
});

function splitClaim(row: Pick<Selectable<TasksTable>, (typeof SPLIT_COLUMNS)[number]>): SplitClaim {
  return {
    taskId: row.id,
    accountId: row.account_id,
    lambdaId: row.lambda_id,
    content: row.content,
    policy: JSON.parse(row.policy) as TaskPolicy,
    traceparent: row.traceparent,
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
