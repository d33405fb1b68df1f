/** Tables that only a store needs that several hosts share: PostgreSQL's. */
import type { Kysely } from 'kysely';

export async function blobs({ schema }: Kysely<never>): Promise<void> {
  await schema
    .createTable('blobs')
    .addColumn('hash', 'text', (c) => c.primaryKey())
    .addColumn('bytes', 'bigint', (c) => c.notNull())
    .execute();
  await schema
    .createTable('blob_chunks')
    .addColumn('hash', 'text', (c) => c.notNull().references('blobs.hash').onDelete('cascade'))
    .addColumn('part', 'integer', (c) => c.notNull())
    .addColumn('bytes', 'bytea', (c) => c.notNull())
    .addPrimaryKeyConstraint('blob_chunks_key', ['hash', 'part'])
    .execute();
  await schema
    .createTable('blob_holds')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('hash', 'text', (c) => c.notNull().references('blobs.hash').onDelete('cascade'))
    .addColumn('until', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('blob_holds_hash').on('blob_holds').column('hash').execute();
  // The last word, whatever a host that stood still for an hour believes: no version refers to a blob that is not there.
  for (const column of ['archive_hash', 'bundle_hash'])
    await schema
      .alterTable('versions')
      .addForeignKeyConstraint(`versions_${column}`, [column], 'blobs', ['hash'])
      .execute();
}
