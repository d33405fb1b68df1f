import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import type { Logger } from '../telemetry/log.ts';
import { changesRepository } from './changes.ts';
import { LAPSE_MS } from './claims.ts';
import type { Postgres } from './postgres.ts';

/** Another host on the same store, as it was last seen. */
export interface Peer {
  readonly id: string;
  readonly name: string;
  /** What it said with its last beat. */
  readonly demand: string;
  readonly ageMs: number;
}

export interface Beat {
  /** The number of the last change that is committed. */
  readonly head: number;
  /** Those that were seen lately, this one apart. */
  readonly peers: readonly Peer[];
}

/** This host among those that share the store. */
export interface Hosts {
  /** Anew with each start. */
  readonly id: string;
  /** The same after a restart: it belongs to the data folder. */
  readonly name: string;
  /** Known to the others once it resolves; from then on it beats. */
  join(): Promise<void>;
  /** Something was committed: told at once, and with each beat in case that the word was lost. */
  onChanges(listener: () => void): void;
  onBeat(listener: (beat: Beat) => void): void;
  /** What the next beats say of this host. */
  says(demand: () => string): void;
  /** Milliseconds since the store was last heard of. */
  silentMs(): number;
  /** The others know at once that it is gone. */
  leave(): Promise<void>;
}

const BEAT_MS = 200;
const RECONNECT_MS = 500;
/** A beat that takes longer goes over a connection that is as good as gone. */
const BEAT_TIMEOUT_MS = 3_000;
/** A peer's share of a rate is free for the others after so long. */
const PEER_MS = 2_000;
const TIDY_MS = 60_000;

export interface HostsOptions {
  readonly postgres: Postgres;
  readonly dataDir: string;
  readonly log?: Pick<Logger, 'warn' | 'info'> | undefined;
}

export async function createHosts({ postgres, dataDir, log }: HostsOptions): Promise<Hosts> {
  const id = randomUUID();
  const name = await hostName(dataDir);
  const channel = `"isolambda_${postgres.schema}"`;
  const onChanges = new Set<() => void>();
  const onBeat = new Set<(beat: Beat) => void>();
  let demand = (): string => '{}';
  let client: pg.Client | undefined;
  let heardMs = Date.now();
  let tidiedMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> | undefined;
  let left = false;

  async function connected(): Promise<pg.Client> {
    if (client !== undefined) return client;
    const fresh = await postgres.connect({ query_timeout: BEAT_TIMEOUT_MS });
    const gone = (): void => void (client === fresh && (client = undefined));
    fresh.on('error', gone);
    fresh.on('end', gone);
    fresh.on('notification', () => tell(onChanges, undefined));
    // A beat that a power cut takes back costs nothing: it need not wait for the disk.
    await fresh.query('set synchronous_commit = off');
    await fresh.query(`listen ${channel}`);
    client = fresh;
    return fresh;
  }

  async function beat(): Promise<void> {
    const connection = await connected();
    try {
      const { rows } = await connection.query<{
        id: string;
        name: string;
        demand: string;
        age_ms: number;
        head: number;
      }>(BEAT, [id, name, demand()]);
      heardMs = Date.now();
      tell(onBeat, {
        head: rows[0]?.head ?? 0,
        peers: rows
          .filter((row) => row.id !== null && row.id !== id && row.age_ms < PEER_MS)
          .map((row) => ({ id: row.id, name: row.name, demand: row.demand, ageMs: row.age_ms })),
      });
      if (Date.now() - tidiedMs > TIDY_MS) {
        tidiedMs = Date.now();
        await connection.query(TIDY, [LAPSE_MS * 6]);
        await changesRepository(postgres.db).prune();
      }
    } catch (error) {
      if (client === connection) client = undefined;
      await connection.end().catch(() => undefined);
      throw error;
    }
  }

  function schedule(ms: number): void {
    if (left) return;
    timer = setTimeout(() => {
      turn = beat().then(
        () => schedule(BEAT_MS),
        (error: unknown) => {
          if (!left) log?.warn({ err: error }, 'the store does not answer: serving what is known');
          schedule(RECONNECT_MS);
        },
      );
    }, ms);
    timer.unref();
  }

  return {
    id,
    name,
    async join() {
      const connection = await connected();
      // An earlier process of this data folder is dead: its lock is ours. What it was building is free at once.
      await connection.query('delete from hosts where name = $1', [name]);
      await beat();
      schedule(BEAT_MS);
    },
    onChanges: (listener) => void onChanges.add(listener),
    onBeat: (listener) => void onBeat.add(listener),
    says(next) {
      demand = next;
    },
    silentMs: () => Date.now() - heardMs,
    async leave() {
      left = true;
      clearTimeout(timer);
      await turn;
      const connection = client;
      client = undefined;
      if (connection === undefined) return;
      await connection.query('delete from hosts where id = $1', [id]).catch(() => undefined);
      await connection.end().catch(() => undefined);
    },
  };
}

const MS = '(extract(epoch from clock_timestamp()) * 1000)::bigint';
/** One row at least: where nobody else is there, it says the head alone. */
const BEAT = `
  with me as (
    insert into hosts (id, name, seen_at, demand) values ($1, $2, ${MS}, $3)
    on conflict (id) do update set seen_at = excluded.seen_at, demand = excluded.demand
  )
  select hosts.id, hosts.name, hosts.demand, ${MS} - hosts.seen_at as age_ms, known.head
  from (select coalesce(max(seq), 0) as head from changes) known left join hosts on true`;
const TIDY = `delete from hosts where seen_at < ${MS} - $1`;

function tell<T>(listeners: ReadonlySet<(what: T) => void>, what: T): void {
  for (const listener of listeners) listener(what);
}

/** Machine and data folder: two hosts on one machine have two. */
async function hostName(dataDir: string): Promise<string> {
  const file = join(dataDir, 'host.id');
  let id = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (!/^[0-9a-f]{8}$/.test(id)) {
    id = randomUUID().slice(0, 8);
    await writeFile(file, `${id}\n`, { mode: 0o600 });
  }
  return `${hostname()}-${id}`;
}
