/**
 * The PostgreSQL that tests talk to: the one at POSTGRES_URL where it answers, else one of this test file's own.
 * Nothing here stands in for a database. Each test gets a schema of its own, dropped at its end.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { endServer, freePorts, launchServer } from './server-process.ts';

const DEFAULT_URL = 'postgres://root@127.0.0.1:5432/test';
/** Debian keeps each major release in a folder of its own. */
const DEBIAN = '/usr/lib/postgresql';

const HOW =
  'start one: apt-get install postgresql, or docker run --rm -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres:17, and set POSTGRES_URL where it is not ' +
  DEFAULT_URL;

/** A server process that belongs to one test file: it may be stopped and restarted. */
export interface OwnPostgres {
  readonly url: string;
  /** Stops it, connections cut, and returns once it is down. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

const started: { end(): Promise<void> }[] = [];
// Registered while the file loads, so that it runs after the file's last test, whoever asked for the server.
after(async () => {
  await Promise.all(started.map((server) => server.end()));
});

let shared: Promise<string> | undefined;

/** URL of a database that answers. Where none does at POSTGRES_URL, a server is started and ended with this test file. */
export function postgresUrl(): Promise<string> {
  return (shared ??= (async () => {
    const url = process.env.POSTGRES_URL ?? DEFAULT_URL;
    return (await answers(url)) ? url : (await startPostgres()).url;
  })());
}

/** URL of a new schema, empty, dropped when `t` ends. */
export async function ownSchema(t: { after(end: () => Promise<void>): void }): Promise<string> {
  const base = await postgresUrl();
  const schema = `isolambda_test_${randomBytes(6).toString('hex')}`;
  await query(base, `create schema ${schema}`);
  t.after(async () => {
    await query(base, `drop schema ${schema} cascade`);
  });
  const url = new URL(base);
  url.searchParams.set('options', `-csearch_path=${schema}`);
  return url.href;
}

/** One statement on a connection of its own. */
export async function query(url: string, text: string, values: unknown[] = []): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(text, values);
  } finally {
    await client.end();
  }
}

/** Starts a server of our own on a free port; it ends with this test file. */
export async function startPostgres(): Promise<OwnPostgres> {
  const bin = debianBin();
  if (bin === undefined)
    throw new Error(
      `no PostgreSQL answers at ${process.env.POSTGRES_URL ?? DEFAULT_URL}, and ${DEBIAN} has none: ${HOW}`,
    );
  const home = await mkdtemp(join(tmpdir(), 'isolambda-postgres-'));
  const [port = 0] = await freePorts(1);
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? unprivileged() : undefined;
  if (user) await chown(home, user.uid, user.gid);
  const data = join(home, 'data');
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' };
  await promisify(execFile)(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'root', '-A', 'trust', '-E', 'UTF8', '--no-sync'],
    { env, cwd: home, ...user },
  );
  const url = `postgres://root@127.0.0.1:${port}/postgres`;
  const launch = (): ReturnType<typeof launchServer> =>
    launchServer({
      name: 'PostgreSQL',
      command: join(bin, 'postgres'),
      args: ['-D', data, '-k', home, '-h', '127.0.0.1', '-p', String(port), '-c', 'fsync=off'],
      env,
      cwd: home,
      ...user,
      // Fast: it ends the sessions itself.
      endBy: 'INT',
      answers: () => answers(url),
      how: HOW,
    });
  let server = await launch();
  const stop = (): Promise<void> => endServer('PostgreSQL', server);
  started.push({
    end: async () => {
      await stop();
      await rm(home, { recursive: true, force: true });
    },
  });
  return {
    url,
    stop,
    start: async () => {
      server = await launch();
    },
  };
}

function debianBin(): string | undefined {
  if (!existsSync(DEBIAN)) return undefined;
  const [newest] = readdirSync(DEBIAN)
    .filter((name) => existsSync(join(DEBIAN, name, 'bin', 'initdb')))
    .sort((one, other) => Number(other) - Number(one));
  return newest === undefined ? undefined : join(DEBIAN, newest, 'bin');
}

/** Debian's package makes the user `postgres`. */
function unprivileged(): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return { uid: Number(uid ?? 65_534), gid: Number(gid ?? 65_534) };
}

async function answers(url: string): Promise<boolean> {
  try {
    await query(url, 'select 1');
    return true;
  } catch {
    return false;
  }
}
