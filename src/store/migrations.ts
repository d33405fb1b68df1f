import { sql, type Kysely } from 'kysely';
import { Migrator, type Migration } from 'kysely/migration';
import { IsolambdaError } from '../errors/error.ts';
import type { Schema } from './schema.ts';
import { blobs, hosts } from './shared-migrations.ts';

/** Names sort in the order in which they run. One that was released never changes: a new one mends it. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '001-start': { up: start },
  '002-queues': { up: allowedQueues },
  '003-tasks': { up: tasks },
  '005-task-requests': { up: taskRequests },
};

/** Of a store that several hosts share; their names sort among the others. */
const SHARED_MIGRATIONS: Readonly<Record<string, Migration>> = {
  '002-shared-blobs': { up: blobs },
  '004-shared-hosts': { up: hosts },
};

async function start(db: Kysely<never>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('meta')
    .addColumn('key', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();
  await schema
    .createTable('accounts')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema
    .createTable('tokens')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('hash', 'text', (c) => c.notNull().unique())
    .addColumn('account_id', 'text', (c) => c.references('accounts.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('scopes', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .execute();
  await schema.createIndex('tokens_account').on('tokens').column('account_id').execute();
  await schema
    .createTable('quotas')
    .addColumn('account_id', 'text', (c) => c.primaryKey().references('accounts.id').onDelete('cascade'))
    .addColumn('limits', 'text', (c) => c.notNull())
    .addColumn('egress', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema
    .createTable('lambdas')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id').onDelete('cascade'))
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('handler', 'text')
    .addColumn('shared', 'integer', (c) => c.notNull())
    .addColumn('routes_auth', 'text', (c) => c.notNull())
    .addColumn('amqp', 'text')
    .addColumn('alive', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('state_detail', 'text', (c) => c.notNull())
    .addColumn('active_version', 'integer')
    .addColumn('latest_version', 'integer', (c) => c.notNull())
    .addColumn('user_config', 'text', (c) => c.notNull())
    .addColumn('deploy_parameters', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('lambdas_order').on('lambdas').columns(['created_at', 'id']).execute();
  await schema.createIndex('lambdas_account').on('lambdas').column('account_id').execute();
  await schema
    .createTable('versions')
    .addColumn('lambda_id', 'text', (c) => c.notNull().references('lambdas.id').onDelete('cascade'))
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('handler', 'text')
    .addColumn('entry', 'text')
    .addColumn('queue_name', 'text')
    .addColumn('lambda_config', 'text')
    .addColumn('archive_hash', 'text')
    .addColumn('archive_bytes', 'bigint', (c) => c.notNull())
    .addColumn('bundle_hash', 'text')
    .addColumn('bundle_bytes', 'bigint', (c) => c.notNull())
    .addColumn('settings', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('versions_key', ['lambda_id', 'version'])
    .execute();
  await schema.createIndex('versions_archive').on('versions').column('archive_hash').execute();
  await schema.createIndex('versions_bundle').on('versions').column('bundle_hash').execute();
  // After a kill the unfinished ones are found without reading the finished ones.
  await schema
    .createIndex('versions_unfinished')
    .on('versions')
    .column('created_at')
    .where(sql.ref('state'), 'in', sql`('waiting', 'building', 'starting')`)
    .execute();
  await schema
    .createTable('builds')
    .addColumn('lambda_id', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('started_at', 'bigint')
    .addColumn('ended_at', 'bigint')
    .addColumn('log', 'text', (c) => c.notNull())
    .addColumn('problems', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('builds_key', ['lambda_id', 'version'])
    .addForeignKeyConstraint(
      'builds_version',
      ['lambda_id', 'version'],
      'versions',
      ['lambda_id', 'version'],
      (c) => c.onDelete('cascade'),
    )
    .execute();
  // No foreign keys: what a lambda used stays on its account's bill after the lambda is gone.
  await schema
    .createTable('usage')
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('lambda_id', 'text', (c) => c.notNull())
    .addColumn('time', 'bigint', (c) => c.notNull())
    .addColumn('span_ms', 'integer', (c) => c.notNull())
    .addColumn('outcome', 'text', (c) => c.notNull())
    .addColumn('count', 'bigint', (c) => c.notNull())
    .addColumn('cpu_us', 'bigint', (c) => c.notNull())
    .addColumn('mb_ms', 'bigint', (c) => c.notNull())
    .addColumn('bytes_in', 'bigint', (c) => c.notNull())
    .addColumn('bytes_out', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('usage_key', ['account_id', 'time', 'span_ms', 'lambda_id', 'outcome'])
    .execute();
  await schema.createIndex('usage_age').on('usage').columns(['span_ms', 'time']).execute();
}

/** Queues that an account may use beside its own. */
async function allowedQueues(db: Kysely<never>): Promise<void> {
  await db.schema
    .alterTable('quotas')
    .addColumn('queues', 'text', (c) => c.notNull().defaultTo('[]'))
    .execute();
}

async function tasks(db: Kysely<never>): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('tasks')
    .addColumn('id', 'bigint', (c) => c.primaryKey())
    .addColumn('account_id', 'text', (c) => c.notNull().references('accounts.id').onDelete('cascade'))
    .addColumn('lambda_id', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('error', 'text')
    .addColumn('policy', 'text', (c) => c.notNull())
    .addColumn('total', 'integer')
    .addColumn('done', 'integer', (c) => c.notNull())
    .addColumn('failed', 'integer', (c) => c.notNull())
    .addColumn('canceled', 'integer', (c) => c.notNull())
    .addColumn('bytes', 'bigint', (c) => c.notNull())
    .addColumn('result_bytes', 'bigint', (c) => c.notNull())
    .addColumn('run_at', 'bigint', (c) => c.notNull())
    .addColumn('tries', 'integer', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('losses', 'integer', (c) => c.notNull())
    .addColumn('worker', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addColumn('started_at', 'bigint')
    .addColumn('ended_at', 'bigint')
    .execute();
  await schema.createIndex('tasks_list').on('tasks').columns(['account_id', 'created_at', 'id']).execute();
  await schema
    .createIndex('tasks_unfinished')
    .on('tasks')
    .columns(['account_id', 'state', 'run_at', 'id'])
    .where(sql.ref('ended_at'), 'is', null)
    .execute();
  await schema.createIndex('tasks_ended').on('tasks').column('ended_at').execute();
  await schema
    .createTable('subtasks')
    .addColumn('task_id', 'bigint', (c) => c.notNull().references('tasks.id').onDelete('cascade'))
    .addColumn('id', 'integer', (c) => c.notNull())
    .addColumn('account_id', 'text', (c) => c.notNull())
    .addColumn('lambda_id', 'text', (c) => c.notNull())
    .addColumn('content', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('run_at', 'bigint', (c) => c.notNull())
    .addColumn('queued_at', 'bigint')
    .addColumn('tries', 'integer', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('losses', 'integer', (c) => c.notNull())
    .addColumn('worker', 'text')
    .addColumn('result', 'text')
    .addColumn('error', 'text')
    .addColumn('started_at', 'bigint')
    .addColumn('ended_at', 'bigint')
    .addPrimaryKeyConstraint('subtasks_key', ['task_id', 'id'])
    .execute();
  // The order in which an account's subtasks are claimed; those that ended are not in it.
  await schema
    .createIndex('subtasks_waiting')
    .on('subtasks')
    .columns(['account_id', 'id', 'run_at', 'task_id'])
    .where(sql.ref('state'), '=', sql`'waiting'`)
    .execute();
  await schema
    .createIndex('subtasks_running')
    .on('subtasks')
    .column('worker')
    .where(sql.ref('state'), '=', sql`'running'`)
    .execute();
  await schema
    .createTable('task_workers')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
}

/** By which a request for a task that comes again is known, and the trace that it belongs to; gone with the task. */
async function taskRequests({ schema }: Kysely<never>): Promise<void> {
  await schema.alterTable('tasks').addColumn('idempotency_key', 'text').execute();
  await schema.alterTable('tasks').addColumn('request_hash', 'text').execute();
  await schema.alterTable('tasks').addColumn('traceparent', 'text').execute();
  await schema
    .createIndex('tasks_keys')
    .unique()
    .on('tasks')
    .columns(['account_id', 'idempotency_key'])
    .execute();
}

const TRIES = 5;
/** PostgreSQL's codes for a column, a table and a schema that are not there. */
const VANISHED: ReadonlySet<unknown> = new Set(['42703', '42P01', '3F000']);

/** Kysely first looks through all tables of the database, and PostgreSQL fails where one of another schema is dropped just then. */
const isOfVanished = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && VANISHED.has(error.code);

/**
 * Brings the tables to this release's shape; refuses a store that a later release has changed. `sharedSchema` names the
 * schema of a store on PostgreSQL: several hosts that start at once migrate it under an advisory lock, one of them.
 */
export async function migrate(db: Kysely<Schema>, sharedSchema?: string): Promise<void> {
  const migrations = sharedSchema === undefined ? MIGRATIONS : { ...MIGRATIONS, ...SHARED_MIGRATIONS };
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
    // Else a store in another schema of the database would pass for this one.
    ...(sharedSchema === undefined ? {} : { migrationTableSchema: sharedSchema }),
  });
  let { error } = await migrator.migrateToLatest();
  for (let tries = 1; tries < TRIES && isOfVanished(error); tries++)
    ({ error } = await migrator.migrateToLatest());
  if (error === undefined) return;
  // Kysely has no typed error for it: it says which migration ran here that this release doesn't know.
  const later =
    error instanceof Error ? /previously executed migration (\S+) is missing/.exec(error.message) : null;
  if (later === null)
    throw new IsolambdaError(
      'internal',
      `the store can't be brought up to date: ${error instanceof Error ? error.message : 'unknown error'}`,
      {
        cause: error,
      },
    );
  throw new IsolambdaError(
    'configuration',
    `a later release of isolambda has changed the store (${later[1]}): start that release, or give another ${sharedSchema === undefined ? 'data folder' : 'database'}`,
    { cause: error },
  );
}
