/**
 * Tables, as kysely sees them. Times are epoch milliseconds, flags are 0 or 1, and structured values are JSON text:
 * SQLite and PostgreSQL hold all of these the same way.
 */

export interface MetaTable {
  key: string;
  value: string;
}

export interface AccountsTable {
  id: string;
  name: string;
  created_at: number;
  updated_at: number;
}

export interface TokensTable {
  id: string;
  /** SHA-256 of the token's text, base64url. */
  hash: string;
  /** Null: the operator's. */
  account_id: string | null;
  name: string;
  /** Comma-separated. */
  scopes: string;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

export interface QuotasTable {
  account_id: string;
  limits: string;
  /** JSON list of destinations. */
  egress: string;
  /** JSON list of queue names. */
  queues: string;
  updated_at: number;
}

export interface LambdasTable {
  id: string;
  account_id: string;
  name: string;
  description: string;
  type: string;
  handler: string | null;
  shared: number;
  routes_auth: string;
  amqp: string | null;
  alive: number;
  state: string;
  state_detail: string;
  active_version: number | null;
  latest_version: number;
  user_config: string;
  deploy_parameters: string;
  created_at: number;
  updated_at: number;
}

export interface VersionsTable {
  lambda_id: string;
  version: number;
  state: string;
  type: string;
  /** The handler asked for; null for the default. */
  handler: string | null;
  /** The export that the built bundle is called by; null until it is built. */
  entry: string | null;
  queue_name: string | null;
  lambda_config: string | null;
  archive_hash: string | null;
  archive_bytes: number;
  bundle_hash: string | null;
  bundle_bytes: number;
  /** Parameters that came with the archive, applied to the lambda when the version begins to serve. */
  settings: string | null;
  created_at: number;
  updated_at: number;
}

export interface BuildsTable {
  lambda_id: string;
  version: number;
  started_at: number | null;
  ended_at: number | null;
  log: string;
  problems: string;
}

/** One row for each account, lambda, outcome and span of time. */
export interface UsageTable {
  account_id: string;
  lambda_id: string;
  /** Start of the span. */
  time: number;
  /** Length of the span: a minute, or an hour once it has aged. */
  span_ms: number;
  /** `reply`, a kind of failure, or `egress`. */
  outcome: string;
  count: number;
  cpu_us: number;
  mb_ms: number;
  bytes_in: number;
  bytes_out: number;
}

/** On PostgreSQL only: the bytes of blobs, for all hosts. */
export interface BlobsTable {
  hash: string;
  bytes: number;
}
export interface BlobChunksTable {
  hash: string;
  /** From 0. */
  part: number;
  bytes: Uint8Array;
}
/** Somebody wrote a blob, and is about to refer to it. */
export interface BlobHoldsTable {
  id: string;
  hash: string;
  /** By the database's clock. */
  until: number;
}

export interface Schema {
  meta: MetaTable;
  accounts: AccountsTable;
  tokens: TokensTable;
  quotas: QuotasTable;
  lambdas: LambdasTable;
  versions: VersionsTable;
  builds: BuildsTable;
  usage: UsageTable;
  blobs: BlobsTable;
  blob_chunks: BlobChunksTable;
  blob_holds: BlobHoldsTable;
}
