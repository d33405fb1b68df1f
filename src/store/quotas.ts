import type { Selectable } from 'kysely';
import type { PartialLimits } from '../config/limits.ts';
import type { Database } from './database.ts';
import type { QuotasTable } from './schema.ts';

/** What the operator gave an account. */
export interface Quota {
  readonly limits: PartialLimits;
  /** Where the account's lambdas may `fetch`; empty: nowhere. */
  readonly egress: readonly string[];
  /** Queues that its lambdas may be served from beside those of its own prefix, whole names. */
  readonly queues: readonly string[];
}

export interface AccountQuota {
  readonly accountId: string;
  readonly quota: Quota;
}

export interface QuotasRepository {
  all(): Promise<AccountQuota[]>;
  of(accountIds: readonly string[]): Promise<AccountQuota[]>;
  set(accountId: string, quota: Quota, now: number): Promise<void>;
}

export function quotasRepository(db: Database): QuotasRepository {
  const rows = () => db.selectFrom('quotas').select(['account_id', 'limits', 'egress', 'queues']);
  return {
    all: async () => (await rows().execute()).map(record),
    of: async (ids) => (await rows().where('account_id', 'in', ids).execute()).map(record),
    async set(accountId, { limits, egress, queues }, now) {
      const values = {
        limits: JSON.stringify(limits),
        egress: JSON.stringify(egress),
        queues: JSON.stringify(queues),
        updated_at: now,
      };
      await db
        .insertInto('quotas')
        .values({ account_id: accountId, ...values })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(values))
        .execute();
    },
  };
}

function record(
  row: Pick<Selectable<QuotasTable>, 'account_id' | 'limits' | 'egress' | 'queues'>,
): AccountQuota {
  return {
    accountId: row.account_id,
    quota: {
      limits: JSON.parse(row.limits) as PartialLimits,
      egress: JSON.parse(row.egress) as string[],
      queues: JSON.parse(row.queues) as string[],
    },
  };
}
