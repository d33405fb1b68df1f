/** Tables that only a store needs that several hosts share: PostgreSQL's. */
import { sql, type Kysely } from 'kysely';

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

export async function hosts(db: Kysely<never>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('changes')
    .addColumn('seq', 'bigint', (c) => c.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('id', 'text', (c) => c.notNull())
    .execute();
  // By triggers, so that nothing that changes a row can forget to tell, a person at psql included. The lock, held until
  // the commit, makes numbers and commits come in one order: who has seen number 7 has missed none below it.
  await sql`
    create function note_change() returns trigger language plpgsql as $$
    declare
      changed jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
    begin
      perform pg_advisory_xact_lock(hashtextextended(tg_table_schema || ':isolambda:registry', 0));
      insert into changes (at, kind, id)
        values ((extract(epoch from clock_timestamp()) * 1000)::bigint, tg_argv[0], changed ->> tg_argv[1]);
      perform pg_notify('isolambda_' || tg_table_schema, '');
      return null;
    end $$`.execute(db);
  for (const [table, kind, key] of [
    ['accounts', 'account', 'id'],
    ['quotas', 'account', 'account_id'],
    ['tokens', 'token', 'id'],
    ['lambdas', 'lambda', 'id'],
  ] as const)
    await sql`
      create trigger note_change after insert or update or delete on ${sql.table(table)}
      for each row execute function note_change(${sql.lit(kind)}, ${sql.lit(key)})`.execute(db);
  await schema
    .createTable('hosts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('seen_at', 'bigint', (c) => c.notNull())
    .addColumn('demand', 'text', (c) => c.notNull())
    .execute();
  await schema
    .createTable('claims')
    .addColumn('lambda_id', 'text', (c) => c.primaryKey())
    .addColumn('id', 'text', (c) => c.notNull().unique())
    .addColumn('host_id', 'text', (c) => c.notNull().references('hosts.id').onDelete('cascade'))
    .execute();
}
