import Database from 'better-sqlite3';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestHost, type TestAccount, type TestHost } from '../../test/host.ts';
import { latency } from '../load.ts';
import type { BenchOptions } from '../main.ts';
import { deploy, ECHO, residentBytes } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';
import { BODY } from './http-echo.ts';

const FEW = 100;
const MANY = 100_000;
const LAMBDAS_AN_ACCOUNT = 100;
const BYTES_PER_MB = 1_048_576;

/** A data folder with so many lambdas registered, one of which was deployed over the API; the others are rows like its own. */
interface Registered {
  readonly dataDir: string;
  readonly lambdaId: string;
  readonly account: TestAccount;
}

/** What 100,000 lambdas that nobody calls cost: the start of the host, its memory, and each call of another lambda. */
export async function registry({ pairs, seconds, say }: BenchOptions): Promise<Row[]> {
  const folders: string[] = [];
  const registered = async (lambdas: number): Promise<Registered> => {
    const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-registry-'));
    folders.push(dataDir);
    return fill(dataDir, lambdas);
  };
  try {
    const [few, many] = [await registered(FEW), await registered(MANY)];
    const starts: number[] = [];
    const ratios: number[] = [];
    const megabytes: number[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      const [small] = await start(few);
      const [large, startMs] = await start(many);
      try {
        const [less, more] = [await p50Us(few, small, seconds), await p50Us(many, large, seconds)];
        starts.push(startMs);
        ratios.push(more / less);
        megabytes.push((residentBytes(large) - residentBytes(small)) / BYTES_PER_MB);
        say(
          `${pair}/${pairs}: start ${Math.round(startMs)} ms, p50 ${Math.round(more)} us and ${Math.round(less)} us, ${Math.round(megabytes.at(-1)!)} MB more`,
        );
      } finally {
        await Promise.all([small.stop(), large.stop()]);
      }
    }
    return [
      {
        bench: 'registry',
        figure: 'start with 100,000',
        value: median(starts),
        unit: 'ms',
        must: { most: 5_000 },
        samples: starts,
      },
      {
        bench: 'registry',
        figure: 'p50 of a call, against 100',
        value: median(ratios),
        unit: 'x',
        must: { most: 1.1 },
        samples: ratios,
      },
      {
        bench: 'registry',
        figure: 'memory of 100,000',
        value: median(megabytes),
        unit: 'MB',
        samples: megabytes,
      },
    ];
  } finally {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  }
}

/** A host on the folder, and the milliseconds until it was ready. */
async function start({ dataDir }: Registered): Promise<[TestHost, number]> {
  const began = performance.now();
  const host = await startTestHost({ dataDir });
  return [host, performance.now() - began];
}

async function p50Us({ lambdaId, account }: Registered, host: TestHost, seconds: number): Promise<number> {
  const { p50Us: p50, errors } = await latency({
    url: `${host.origin}/1/lambdas/${lambdaId}/proxy/main`,
    connections: 1,
    seconds,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${account.token}` },
    body: BODY,
  });
  if (errors > 0) throw new Error(`${errors} requests failed`);
  return p50;
}

async function fill(dataDir: string, lambdas: number): Promise<Registered> {
  const host = await startTestHost({ dataDir });
  const account = await host.account({ rate_per_s: 1e6, account_rate_per_s: 1e6 });
  const lambdaId = await deploy(account.api, ECHO);
  await host.stop();
  const db = new Database(join(dataDir, 'isolambda.db'));
  try {
    db.transaction(() => multiply(db, account.accountId, lambdaId, lambdas - 1))();
  } finally {
    db.close();
  }
  return { dataDir, lambdaId, account };
}

type Values = Record<string, unknown>;

/** More accounts, each with a token, and more lambdas with a version that runs. */
function multiply(db: Database.Database, accountId: string, lambdaId: string, more: number): void {
  const rowOf = (table: string, column: string, id: string): Values =>
    db.prepare<[string], Values>(`select * from ${table} where ${column} = ?`).get(id)!;
  const inserter = (table: string, template: Values): ((change: Values) => void) => {
    const columns = Object.keys(template);
    const insert = db.prepare(
      `insert into ${table} (${columns.join(', ')}) values (${columns.map((column) => `@${column}`).join(', ')})`,
    );
    return (change) => void insert.run({ ...template, ...change });
  };
  const addAccount = inserter('accounts', rowOf('accounts', 'id', accountId));
  const addToken = inserter('tokens', rowOf('tokens', 'account_id', accountId));
  const addLambda = inserter('lambdas', rowOf('lambdas', 'id', lambdaId));
  const addVersion = inserter('versions', rowOf('versions', 'lambda_id', lambdaId));
  let owner = '';
  for (let n = 0; n < more; n += 1) {
    if (n % LAMBDAS_AN_ACCOUNT === 0) {
      owner = randomUUID();
      addAccount({ id: owner });
      addToken({ id: randomUUID(), hash: randomUUID(), account_id: owner });
    }
    const id = randomUUID();
    addLambda({ id, account_id: owner, name: `lambda-${n}` });
    addVersion({ lambda_id: id });
  }
}
