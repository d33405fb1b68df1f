import { sql } from 'kysely';
import { chunks, lock, type Database } from './database.ts';
import type { UsageQuery } from './types.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
/** After this, minutes are folded into hours. */
const MINUTES_KEPT_MS = 7 * DAY_MS;
/** After this, hours are dropped. */
const HOURS_KEPT_MS = 400 * DAY_MS;

/** What was counted for one account, lambda, outcome and minute. */
export interface UsageCount {
  readonly accountId: string;
  readonly lambdaId: string;
  /** Start of the minute. */
  readonly time: number;
  /** `reply`, a kind of failure, or `egress`. */
  readonly outcome: string;
  count: number;
  cpuUs: number;
  mbMs: number;
  bytesIn: number;
  bytesOut: number;
}

export interface UsageRepository {
  /** Adds to what is there, in one transaction. */
  add(counts: readonly UsageCount[]): Promise<void>;
  /** Sums by step and outcome, oldest first. */
  sums(query: UsageQuery): Promise<Omit<UsageCount, 'accountId' | 'lambdaId'>[]>;
  /** Folds old minutes into hours and drops old hours. */
  age(now: number): Promise<void>;
  deleteAccount(accountId: string): Promise<void>;
}

export const STEP_MS = { minute: MINUTE_MS, hour: HOUR_MS, day: DAY_MS } as const;

export function usageRepository(db: Database): UsageRepository {
  const insert = (
    into: Database,
    rows: readonly (Omit<UsageCount, 'time'> & { time: number; spanMs: number })[],
  ): Promise<unknown> =>
    into
      .insertInto('usage')
      .values(
        rows.map((row) => ({
          account_id: row.accountId,
          lambda_id: row.lambdaId,
          time: row.time,
          span_ms: row.spanMs,
          outcome: row.outcome,
          count: row.count,
          cpu_us: row.cpuUs,
          mb_ms: row.mbMs,
          bytes_in: row.bytesIn,
          bytes_out: row.bytesOut,
        })),
      )
      .onConflict((conflict) =>
        conflict.columns(['account_id', 'time', 'span_ms', 'lambda_id', 'outcome']).doUpdateSet({
          count: sql`usage.count + excluded.count`,
          cpu_us: sql`usage.cpu_us + excluded.cpu_us`,
          mb_ms: sql`usage.mb_ms + excluded.mb_ms`,
          bytes_in: sql`usage.bytes_in + excluded.bytes_in`,
          bytes_out: sql`usage.bytes_out + excluded.bytes_out`,
        }),
      )
      .execute();

  return {
    async add(counts) {
      if (counts.length === 0) return;
      await inTransaction(db, async (tx) => {
        // In one order, so that two hosts that write the same rows don't wait for each other.
        for (const some of chunks(counts.toSorted(byKey)))
          await insert(
            tx,
            some.map((count) => ({ ...count, spanMs: MINUTE_MS })),
          );
      });
    },
    async sums({ accountId, lambdaId, from, to, step }) {
      const stepMs = STEP_MS[step];
      const start = sql<number>`time - time % ${sql.lit(stepMs)}`;
      return db
        .selectFrom('usage')
        .where('account_id', '=', accountId)
        .$if(lambdaId !== undefined, (query) => query.where('lambda_id', '=', lambdaId!))
        .where('time', '>=', from)
        .where('time', '<', to)
        .select((select) => [
          start.as('time'),
          'outcome',
          select.fn.sum<number>('count').as('count'),
          select.fn.sum<number>('cpu_us').as('cpuUs'),
          select.fn.sum<number>('mb_ms').as('mbMs'),
          select.fn.sum<number>('bytes_in').as('bytesIn'),
          select.fn.sum<number>('bytes_out').as('bytesOut'),
        ])
        .groupBy([start, 'outcome'])
        .orderBy(start)
        .orderBy('outcome')
        .execute();
    },
    async age(now) {
      const before = now - MINUTES_KEPT_MS - ((now - MINUTES_KEPT_MS) % HOUR_MS);
      await inTransaction(db, async (tx) => {
        // Two hosts that fold the same minutes would count them twice.
        await lock(tx, 'usage-age');
        const hour = sql<number>`time - time % ${sql.lit(HOUR_MS)}`;
        const old = await tx
          .selectFrom('usage')
          .where('span_ms', '=', MINUTE_MS)
          .where('time', '<', before)
          .select((select) => [
            'account_id as accountId',
            'lambda_id as lambdaId',
            'outcome',
            hour.as('time'),
            select.fn.sum<number>('count').as('count'),
            select.fn.sum<number>('cpu_us').as('cpuUs'),
            select.fn.sum<number>('mb_ms').as('mbMs'),
            select.fn.sum<number>('bytes_in').as('bytesIn'),
            select.fn.sum<number>('bytes_out').as('bytesOut'),
          ])
          .groupBy(['account_id', 'lambda_id', 'outcome', hour])
          .execute();
        for (const some of chunks(old))
          await insert(
            tx,
            some.map((row) => ({ ...row, spanMs: HOUR_MS })),
          );
        await tx.deleteFrom('usage').where('span_ms', '=', MINUTE_MS).where('time', '<', before).execute();
        await tx
          .deleteFrom('usage')
          .where('span_ms', '=', HOUR_MS)
          .where('time', '<', now - HOURS_KEPT_MS)
          .execute();
      });
    },
    async deleteAccount(accountId) {
      await db.deleteFrom('usage').where('account_id', '=', accountId).execute();
    },
  };
}

const keyOf = ({ accountId, lambdaId, time, outcome }: UsageCount): string =>
  `${accountId} ${lambdaId} ${time} ${outcome}`;
const byKey = (one: UsageCount, other: UsageCount): number => (keyOf(one) < keyOf(other) ? -1 : 1);

/** A repository may already stand inside a transaction; SQLite has none within another. */
function inTransaction(db: Database, work: (tx: Database) => Promise<void>): Promise<void> {
  return db.isTransaction ? work(db) : db.transaction().execute(work);
}
