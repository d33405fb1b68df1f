import { sql } from 'kysely';
import { NOW_MS, type Database } from './database.ts';

/**
 * Which host brings a lambda's next version to serving. A claim is as good as its host's heartbeat: one of a host that
 * was not seen for LAPSE_MS may be taken.
 */
export interface ClaimsRepository {
  /** False where another host has the lambda. `id` is of one job. */
  take(lambdaId: string, id: string): Promise<boolean>;
  /** Whether it is still ours; asked in the transaction that ends a step, it stays so until the commit. */
  held(id: string): Promise<boolean>;
  drop(id: string): Promise<void>;
}

/** A host that beats several times a second and was silent for so long is gone, or cut off. */
export const LAPSE_MS = 10_000;

/** Of a store that no other host has. */
export const everyClaim: ClaimsRepository = {
  take: () => Promise.resolve(true),
  held: () => Promise.resolve(true),
  drop: () => Promise.resolve(),
};

export function claimsRepository(db: Database, hostId: string): ClaimsRepository {
  return {
    async take(lambdaId, id) {
      const taken = await db
        .insertInto('claims')
        .values({ lambda_id: lambdaId, id, host_id: hostId })
        .onConflict((conflict) =>
          conflict
            .column('lambda_id')
            .doUpdateSet({ id, host_id: hostId })
            .where((where) =>
              where.or([
                where('claims.host_id', '=', hostId),
                where(
                  'claims.host_id',
                  'in',
                  where
                    .selectFrom('hosts')
                    .select('hosts.id')
                    .where('seen_at', '<', sql<number>`${NOW_MS} - ${LAPSE_MS}`),
                ),
              ]),
            ),
        )
        .returning('id')
        .executeTakeFirst();
      return taken !== undefined;
    },
    async held(id) {
      const row = await db
        .selectFrom('claims')
        .select('id')
        .where('id', '=', id)
        .forUpdate()
        .executeTakeFirst();
      return row !== undefined;
    },
    async drop(id) {
      await db.deleteFrom('claims').where('id', '=', id).execute();
    },
  };
}
