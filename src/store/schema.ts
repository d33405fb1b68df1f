import type { Generated } from 'kysely';

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

/** A task of a lambda: a content that is split, and what became of its parts. */
export interface TasksTable {
  /** A whole number that says nothing of how many there are. */
  id: number;
  account_id: string;
  /** No foreign key: a task outlives its lambda, and says so. */
  lambda_id: string;
  description: string;
  /** JSON. */
  content: string;
  state: string;
  /** JSON: why it could not be split. */
  error: string | null;
  /** JSON: how subtasks are tried again. */
  policy: string;
  /** Subtasks; null until it is split. */
  total: number | null;
  done: number;
  failed: number;
  canceled: number;
  /** Of content, subtasks' contents, and results. */
  bytes: number;
  result_bytes: number;
  /** Not to be split before then. */
  run_at: number;
  tries: number;
  attempts: number;
  losses: number;
  /** The worker that splits it. */
  worker: string | null;
  created_at: number;
  updated_at: number;
  started_at: number | null;
  ended_at: number | null;
  /** What its creator calls the request, unique within the account. */
  idempotency_key: string | null;
  /** SHA-256 of the request, in hexadecimal, where it has a key. */
  request_hash: string | null;
  /** W3C trace context of the request. */
  traceparent: string | null;
}

export interface SubtasksTable {
  task_id: number;
  /** From 1, in the order of the split. */
  id: number;
  account_id: string;
  lambda_id: string;
  /** JSON. */
  content: string;
  state: string;
  /** Not to be executed before then. */
  run_at: number;
  /** When it was given to the broker; null where it was not, or where that is no longer worth anything. */
  queued_at: number | null;
  /** Claims so far: who ends it must name the last one. */
  tries: number;
  /** Executions that count against the retry policy. */
  attempts: number;
  /** Executions that were lost without its doing. */
  losses: number;
  worker: string | null;
  /** JSON. */
  result: string | null;
  /** JSON. */
  error: string | null;
  started_at: number | null;
  ended_at: number | null;
}

/** A running host that executes tasks. What it has claimed is void once it expires. */
export interface TaskWorkersTable {
  id: string;
  expires_at: number;
}

/** On PostgreSQL only: what triggers note of accounts, quotas, tokens and lambdas, in the order of commits. */
export interface ChangesTable {
  seq: Generated<number>;
  /** By the database's clock. */
  at: number;
  kind: string;
  id: string;
}
/** On PostgreSQL only: a running host. */
export interface HostsTable {
  /** Anew with each start. */
  id: string;
  /** Of its data folder: the same after a restart. */
  name: string;
  /** By the database's clock. */
  seen_at: number;
  /** JSON: what its callers ask for, of accounts and lambdas near their limits. */
  demand: string;
}
/** On PostgreSQL only: which host brings a lambda's next version to serving. */
export interface ClaimsTable {
  lambda_id: string;
  /** Of one job. */
  id: string;
  host_id: string;
}

export interface Schema {
  tasks: TasksTable;
  subtasks: SubtasksTable;
  task_workers: TaskWorkersTable;
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
  changes: ChangesTable;
  hosts: HostsTable;
  claims: ClaimsTable;
}
