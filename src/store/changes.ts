import { sql } from 'kysely';
import { NOW_MS, type Database } from './database.ts';

/** What another host, or this one, changed: to be read again. */
export interface Subject {
  readonly kind: 'account' | 'token' | 'lambda';
  readonly id: string;
}

export interface MissedChanges {
  /** Each once, in the order of their last change. */
  readonly subjects: readonly Subject[];
  /** The number of the last change there is. */
  readonly head: number;
  /** More was dropped than was asked for: everything is to be read again. */
  readonly gap: boolean;
}

export interface ChangesRepository {
  head(): Promise<number>;
  /** Those with a number above `seq`. */
  since(seq: number): Promise<MissedChanges>;
  /** Drops what every host has read long ago. */
  prune(): Promise<void>;
}

const KEPT_MS = 3_600_000;
const PRUNED = 'changes.pruned';
const KINDS: ReadonlySet<string> = new Set(['account', 'token', 'lambda']);

export function changesRepository(db: Database): ChangesRepository {
  return {
    async head() {
      const { head } = await db
        .selectFrom('changes')
        .select((select) => select.fn.coalesce(select.fn.max('seq'), sql<number>`0`).as('head'))
        .executeTakeFirstOrThrow();
      return head;
    },
    async since(seq) {
      const rows = await db
        .selectFrom('changes')
        .select((select) => ['kind', 'id', select.fn.max('seq').as('last')])
        .where('seq', '>', seq)
        .groupBy(['kind', 'id'])
        .orderBy('last')
        .execute();
      const pruned = await db.selectFrom('meta').select('value').where('key', '=', PRUNED).executeTakeFirst();
      return {
        subjects: rows.filter((row): row is typeof row & Subject => KINDS.has(row.kind)),
        head: rows.at(-1)?.last ?? seq,
        gap: Number(pruned?.value ?? 0) > seq,
      };
    },
    async prune() {
      await db.transaction().execute(async (tx) => {
        // The newest stays: from it hosts know the head.
        const gone = await tx
          .deleteFrom('changes')
          .where('at', '<', sql<number>`${NOW_MS} - ${KEPT_MS}`)
          .where('seq', '<', (where) =>
            where.selectFrom('changes').select((max) => max.fn.max('seq').as('newest')),
          )
          .returning('seq')
          .execute();
        if (gone.length === 0) return;
        const value = String(Math.max(...gone.map(({ seq }) => seq)));
        await tx
          .insertInto('meta')
          .values({ key: PRUNED, value })
          .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
          .execute();
      });
    },
  };
}
