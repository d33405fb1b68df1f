import type { PartialLimits } from '../config/limits.ts';
import type { Database } from './database.ts';

export interface QuotasRepository {
  all(): Promise<{ readonly accountId: string; readonly limits: PartialLimits }[]>;
  set(accountId: string, limits: PartialLimits, now: number): Promise<void>;
}

export function quotasRepository(db: Database): QuotasRepository {
  return {
    async all() {
      const rows = await db.selectFrom('quotas').select(['account_id', 'limits']).execute();
      return rows.map((row) => ({
        accountId: row.account_id,
        limits: JSON.parse(row.limits) as PartialLimits,
      }));
    },
    async set(accountId, limits, now) {
      const values = { limits: JSON.stringify(limits), updated_at: now };
      await db
        .insertInto('quotas')
        .values({ account_id: accountId, ...values })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(values))
        .execute();
    },
  };
}
