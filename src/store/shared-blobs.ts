import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { IsolambdaError } from '../errors/error.ts';
import type { BlobCache } from './blob-cache.ts';
import { checkedHash, sha256, type Blobs } from './blobs.ts';
import { chunks, NOW_MS, type Database } from './database.ts';
import { versionsRepository } from './versions.ts';

export interface SharedBlobs extends Blobs {
  /** Deletes those of `hashes` that no host holds and no version refers to; returns how many. */
  sweep(hashes: readonly string[]): Promise<number>;
}

/** Of a blob, in one row and message: an archive of 20 MiB is never whole in a buffer of the connection. */
const CHUNK_BYTES = 1024 * 1024;
/** A hold whose host was killed ends by itself. Nobody holds a blob for longer than the write of a few rows. */
const HOLD_MS = 3_600_000;
const LIST_PAGE = 1_000;

/**
 * Blobs as rows, for hosts that share PostgreSQL, behind files of this host. Who writes one holds it by a row, so that no
 * host sweeps what another's fresh upload is about to refer to; a sweep locks the blobs before it asks who refers to them,
 * and the foreign key of `versions` makes every new reference wait for that lock.
 */
export function createSharedBlobs(db: Database, cache: BlobCache): SharedBlobs {
  async function write(hash: string, bytes: Uint8Array, hold: string): Promise<void> {
    await db.transaction().execute(async (tx) => {
      const made = await tx
        .insertInto('blobs')
        .values({ hash, bytes: bytes.byteLength })
        .onConflict((conflict) => conflict.column('hash').doNothing())
        .returning('hash')
        .executeTakeFirst();
      if (made === undefined && !(await lockRow(tx, hash))) {
        // Swept between the two statements: the next round writes it anew.
        throw new SweptMeanwhile();
      }
      await tx
        .insertInto('blob_holds')
        .values({ id: hold, hash, until: sql`${NOW_MS} + ${HOLD_MS}` })
        .execute();
      if (made === undefined) return;
      for (let part = 0; part * CHUNK_BYTES < bytes.byteLength; part += 1)
        await tx
          .insertInto('blob_chunks')
          .values({ hash, part, bytes: bytes.subarray(part * CHUNK_BYTES, (part + 1) * CHUNK_BYTES) })
          .execute();
    });
  }

  async function lockRow(tx: Database, hash: string): Promise<boolean> {
    const row = await tx
      .selectFrom('blobs')
      .select('hash')
      .where('hash', '=', hash)
      .forKeyShare()
      .executeTakeFirst();
    return row !== undefined;
  }

  async function read(hash: string): Promise<Uint8Array> {
    const row = await db.selectFrom('blobs').select('bytes').where('hash', '=', hash).executeTakeFirst();
    if (row === undefined)
      throw new IsolambdaError('internal', `blob ${hash} is not in the store: upload the archive again`);
    const whole = Buffer.allocUnsafe(row.bytes);
    let filled = 0;
    for (let part = 0; filled < row.bytes; part += 1) {
      const chunk = await db
        .selectFrom('blob_chunks')
        .select('bytes')
        .where('hash', '=', hash)
        .where('part', '=', part)
        .executeTakeFirst();
      if (chunk === undefined || filled + chunk.bytes.byteLength > row.bytes)
        throw new IsolambdaError('internal', `blob ${hash} is damaged: upload the archive again`);
      whole.set(chunk.bytes, filled);
      filled += chunk.bytes.byteLength;
    }
    if ((await sha256(whole)) !== hash)
      throw new IsolambdaError('internal', `blob ${hash} is damaged: upload the archive again`);
    return whole;
  }

  return {
    async put(bytes) {
      const hash = await sha256(bytes);
      const hold = randomUUID();
      for (;;) {
        try {
          await write(hash, bytes, hold);
          break;
        } catch (error) {
          if (!(error instanceof SweptMeanwhile)) throw error;
        }
      }
      await cache.put(hash, bytes);
      let released = false;
      return {
        hash,
        bytes: bytes.byteLength,
        release() {
          if (released) return;
          released = true;
          // Where it fails, the hold ends by itself.
          db.deleteFrom('blob_holds')
            .where('id', '=', hold)
            .execute()
            .catch(() => undefined);
        },
      };
    },
    async get(hash) {
      const cached = await cache.get(checkedHash(hash));
      if (cached !== undefined) return cached;
      const bytes = await read(hash);
      await cache.put(hash, bytes);
      return bytes;
    },
    async has(hash) {
      const row = await db
        .selectFrom('blobs')
        .select('hash')
        .where('hash', '=', checkedHash(hash))
        .executeTakeFirst();
      return row !== undefined;
    },
    async *list() {
      for (let after = ''; ;) {
        const rows = await db
          .selectFrom('blobs')
          .select('hash')
          .where('hash', '>', after)
          .orderBy('hash')
          .limit(LIST_PAGE)
          .execute();
        if (rows.length === 0) return;
        yield rows.map(({ hash }) => hash);
        after = rows.at(-1)!.hash;
      }
    },
    async sweep(hashes) {
      let swept = 0;
      for (const some of chunks(hashes)) {
        const gone = await db.transaction().execute(async (tx) => {
          // In one order, so that two sweeps don't wait for each other.
          await tx
            .selectFrom('blobs')
            .select('hash')
            .where('hash', 'in', some)
            .orderBy('hash')
            .forUpdate()
            .execute();
          const kept = [...(await versionsRepository(tx).referenced(some))];
          return tx
            .deleteFrom('blobs')
            .where('hash', 'in', some)
            .$if(kept.length > 0, (query) => query.where('hash', 'not in', kept))
            .where((where) =>
              where.not(
                where.exists(
                  where
                    .selectFrom('blob_holds')
                    .select('blob_holds.id')
                    .whereRef('blob_holds.hash', '=', 'blobs.hash')
                    .where('until', '>', sql<number>`${NOW_MS}`),
                ),
              ),
            )
            .returning('hash')
            .execute();
        });
        swept += gone.length;
        for (const { hash } of gone) await cache.remove(hash);
      }
      return swept;
    },
  };
}

class SweptMeanwhile extends Error {}
