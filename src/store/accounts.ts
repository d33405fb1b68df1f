import type { Database } from './database.ts';
import type { Account } from './types.ts';

const COLUMNS = ['id', 'name', 'created_at as createdAt', 'updated_at as updatedAt'] as const;

export interface AccountsRepository {
  all(): Promise<Account[]>;
  get(ids: readonly string[]): Promise<Account[]>;
  insert(account: Account): Promise<void>;
  rename(id: string, name: string, now: number): Promise<void>;
  /** With all that belongs to it, its usage apart. */
  delete(id: string): Promise<void>;
}

export function accountsRepository(db: Database): AccountsRepository {
  return {
    all: () => db.selectFrom('accounts').select(COLUMNS).orderBy('created_at').orderBy('id').execute(),
    get: (ids) => db.selectFrom('accounts').select(COLUMNS).where('id', 'in', ids).execute(),
    async insert(account) {
      await db
        .insertInto('accounts')
        .values({
          id: account.id,
          name: account.name,
          created_at: account.createdAt,
          updated_at: account.updatedAt,
        })
        .execute();
    },
    async rename(id, name, now) {
      await db.updateTable('accounts').set({ name, updated_at: now }).where('id', '=', id).execute();
    },
    async delete(id) {
      await db.deleteFrom('accounts').where('id', '=', id).execute();
    },
  };
}
