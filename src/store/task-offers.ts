import type { Selectable, SelectQueryBuilder } from 'kysely';
import { chunks, type Database } from './database.ts';
import type { Schema, SubtasksTable } from './schema.ts';
import type { SubtaskKey, TaskOffers } from './task-claim-types.ts';
import { WAITING } from './task-states.ts';

type WaitingQuery = SelectQueryBuilder<Schema, 'subtasks', Selectable<SubtasksTable>>;

/** Which subtasks a broker was told of, where one hands them out. */
export function taskOffers(db: Database): TaskOffers {
  return {
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
}
