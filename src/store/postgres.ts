/** Connections to PostgreSQL, and kysely on them. */
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { IsolambdaError } from '../errors/error.ts';
import { type Database } from './database.ts';
import { parsePostgresUrl } from './postgres-url.ts';
import type { Schema } from './schema.ts';

/** Of one host. PostgreSQL allows 100 in all by default. */
const CONNECTIONS = 10;
const CONNECT_MS = 5_000;
const STATEMENT_MS = 30_000;
/** A host that stands still inside a transaction must not hold the others up for longer. */
const IDLE_IN_TRANSACTION_MS = 10_000;

export interface Postgres {
  readonly db: Database;
  /** The URL with its password masked. */
  readonly masked: string;
  /** Where the tables are. */
  readonly schema: string;
  /** A connection beside the pool; who asks for it ends it. */
  connect(more?: pg.ClientConfig): Promise<pg.Client>;
  /** Waits for what was asked before, then ends all connections. */
  close(): Promise<void>;
}

/** Error `configuration` where the server can't be reached or doesn't let us in. */
export async function openPostgres(url: string): Promise<Postgres> {
  const { config, masked } = parsePostgresUrl(url);
  const settings: pg.PoolConfig = {
    application_name: `isolambda ${process.pid}`,
    ...config,
    types: { getTypeParser },
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    max: CONNECTIONS,
    idleTimeoutMillis: 60_000,
  };
  const pool = new pg.Pool(settings);
  // An idle connection that the server ended: the pool drops it, and makes another when one is needed.
  pool.on('error', () => undefined);
  const counted = countedPool(pool, masked);
  const db: Database = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: counted.pool }) });
  try {
    const { rows } = await pool.query<{ schema: string | null; encoding: string }>(
      "select current_schema() as schema, current_setting('server_encoding') as encoding",
    );
    const { schema, encoding } = rows[0]!;
    if (schema === null)
      throw new IsolambdaError('configuration', `${masked}: none of the schemas of its search_path exists`);
    if (encoding !== 'UTF8')
      throw new IsolambdaError(
        'configuration',
        `${masked}: the database is encoded as ${encoding}; make one with createdb --encoding=UTF8 --template=template0`,
      );
    return {
      db,
      masked,
      schema,
      async connect(more) {
        const client = new pg.Client({ ...settings, ...more });
        try {
          await client.connect();
        } catch (error) {
          throw unavailable(error, masked);
        }
        return client;
      },
      async close() {
        // An empty turn comes after all that was asked before it: these have entered the pool's queue by then.
        await db
          .connection()
          .execute(() => Promise.resolve())
          .catch(() => undefined);
        await counted.idle();
        await db.destroy();
      },
    };
  } catch (error) {
    await pool.end().catch(() => undefined);
    if (error instanceof IsolambdaError) throw error;
    throw new IsolambdaError(
      'configuration',
      `the store ${masked} can't be reached: ${reasonOf(error)}; start PostgreSQL, or correct store.url (--store-url)`,
      { cause: error },
    );
  }
}

/** bigint and numeric as numbers: what is counted here stays far below 2^53. */
function getTypeParser(...[oid, format]: Parameters<typeof pg.types.getTypeParser>): unknown {
  if (oid === pg.types.builtins.INT8 || oid === pg.types.builtins.NUMERIC) return Number;
  return pg.types.getTypeParser(oid, format) as unknown;
}

interface CountedPool {
  readonly pool: { connect(): Promise<PostgresPoolClient>; end(): Promise<void>; readonly options: object };
  /** Resolves once nobody has or awaits a connection. */
  idle(): Promise<void>;
}

function countedPool(pool: pg.Pool, masked: string): CountedPool {
  const clients = new WeakMap<pg.PoolClient, PostgresPoolClient>();
  let out = 0;
  let onIdle: (() => void)[] = [];
  const back = (): void => {
    out -= 1;
    if (out > 0) return;
    for (const tell of onIdle) tell();
    onIdle = [];
  };

  /** Kysely knows a connection by the object: one for each client. */
  function guarded(client: pg.PoolClient): PostgresPoolClient {
    const query = async (sql: string, parameters: readonly unknown[] = []): Promise<unknown> => {
      try {
        return await client.query(sql, parameters.map(storable));
      } catch (error) {
        throw isUnavailable(error) ? unavailable(error, masked) : error;
      }
    };
    return {
      query: query as PostgresPoolClient['query'],
      release(destroy) {
        client.release(destroy === true);
        back();
      },
    };
  }

  return {
    pool: {
      options: pool.options,
      end: () => pool.end(),
      async connect() {
        out += 1;
        try {
          const client = await pool.connect();
          let known = clients.get(client);
          if (known === undefined) clients.set(client, (known = guarded(client)));
          return known;
        } catch (error) {
          back();
          throw unavailable(error, masked);
        }
      },
    },
    idle: () => (out === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
  };
}

/** SQLite holds any text, PostgreSQL none with U+0000: a tenant's name for a lambda must not be an internal error. */
function storable(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value;
}

/** Classes and codes of SQLSTATE that say that the server, not the statement, is at fault. */
const SERVER_GONE = /^(08...|57P0[1-5]|53300|25P03)$/;

/** What node-postgres says of a connection that broke, was closed, or came too late: it has no codes for these. */
const CONNECTION_GONE = /connection|timeout|not queryable|client was closed/i;

export function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return SERVER_GONE.test(error.code ?? '');
  if (!(error instanceof Error)) return false;
  return ('code' in error && 'syscall' in error) || CONNECTION_GONE.test(error.message);
}

export function unavailable(error: unknown, masked: string): IsolambdaError {
  return new IsolambdaError('store_unavailable', `the store ${masked} does not answer: ${reasonOf(error)}`, {
    cause: error,
    retryAfterMs: 1_000,
  });
}

function reasonOf(error: unknown): string {
  // Of a host with several addresses, each failed; the message of the whole is empty.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
