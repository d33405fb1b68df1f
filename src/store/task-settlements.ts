/**
 * Ends of what was claimed. Each of these writes more than one row, and belongs into a transaction. All take a task's own row first,
 * then its subtasks', tasks in the order of their ids: two hosts can't wait for each other.
 */
import { chunks, type Database } from './database.ts';
import type { Settled, SubtaskEnd, TaskEnded, TaskSettlements } from './task-claim-types.ts';
import { RUNNING, WAITING } from './task-states.ts';
import { SUBTASK_ROW_BYTES, type TaskState } from './tasks.ts';

export function taskSettlements(db: Database): TaskSettlements {
  /** Takes the task's row, so that nobody else changes it or its counts until the transaction ends. */
  const lockTask = (taskId: number, now: number) =>
    db
      .updateTable('tasks')
      .set({ updated_at: now })
      .where('id', '=', taskId)
      .returning(['account_id', 'state', 'total', 'done', 'failed', 'canceled', 'result_bytes'])
      .executeTakeFirst();

  return {
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
  };

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
