import type { Selectable } from 'kysely';
import type { Database } from './database.ts';
import type { TokensTable } from './schema.ts';
import { SCOPES, type Scope, type TokenInfo } from './types.ts';

/** What a token is looked up by. */
export interface TokenRecord extends TokenInfo {
  /** SHA-256 of the token's text, base64url. */
  readonly hash: string;
}

export interface TokensRepository {
  /** Those that are neither revoked nor expired at `now`. */
  valid(now: number): Promise<TokenRecord[]>;
  get(ids: readonly string[]): Promise<TokenRecord[]>;
  /** Of an account, or the operator's (null), oldest first. */
  of(accountId: string | null): Promise<TokenInfo[]>;
  insert(token: TokenRecord): Promise<void>;
  /** One that was revoked before keeps its time. */
  revoke(id: string, now: number): Promise<void>;
}

export function tokensRepository(db: Database): TokensRepository {
  return {
    async valid(now) {
      const rows = await db
        .selectFrom('tokens')
        .selectAll()
        .where('revoked_at', 'is', null)
        .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
        .execute();
      return rows.map((row) => ({ ...info(row), hash: row.hash }));
    },
    async get(ids) {
      const rows = await db.selectFrom('tokens').selectAll().where('id', 'in', ids).execute();
      return rows.map((row) => ({ ...info(row), hash: row.hash }));
    },
    async of(accountId) {
      const rows = await db
        .selectFrom('tokens')
        .selectAll()
        .where('account_id', accountId === null ? 'is' : '=', accountId)
        .orderBy('created_at')
        .orderBy('id')
        .execute();
      return rows.map(info);
    },
    async insert(token) {
      await db
        .insertInto('tokens')
        .values({
          id: token.id,
          hash: token.hash,
          account_id: token.accountId,
          name: token.name,
          scopes: token.scopes.join(','),
          created_at: token.createdAt,
          expires_at: token.expiresAt,
          revoked_at: token.revokedAt,
        })
        .execute();
    },
    async revoke(id, now) {
      await db
        .updateTable('tokens')
        .set({ revoked_at: now })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .execute();
    },
  };
}

function info(row: Selectable<TokensTable>): TokenInfo {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    scopes: row.scopes.split(',').filter((scope): scope is Scope => SCOPES.some((known) => known === scope)),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}
