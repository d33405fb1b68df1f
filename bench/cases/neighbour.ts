import { setTimeout as pause } from 'node:timers/promises';
import { LambdaApi } from '../../src/client/index.ts';
import { endLoad, startBackgroundLoad } from '../background-load.ts';
import { latency, type Job } from '../load.ts';
import type { BenchOptions } from '../main.ts';
import { deploy, ECHO, startProduct } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';
import { BODY } from './http-echo.ts';

/** What the other account does meanwhile, with the quota that every account has by default. */
const ATTACKS: Readonly<Record<string, { readonly main: string; readonly connections: number }>> = {
  loops: { main: 'for (;;);', connections: 16 },
  allocates: {
    main: 'const all = []; for (;;) all.push(new Array(10_000).fill(all.length));',
    connections: 16,
  },
  'floods logs': {
    main: 'for (let n = 0; n < 2_000; n++) console.log("x".repeat(500)); return 1;',
    connections: 16,
  },
  'floods connections': { main: 'return 1;', connections: 500 },
};
/** The attack is under way for so long before the victim is measured. */
const RUN_UP_MS = 1_500;

/**
 * 99th percentile of one account's echo, quiet, and while another account attacks.
 */
export async function neighbour({ pairs, seconds, say }: BenchOptions): Promise<Row[]> {
  const product = await startProduct();
  try {
    const victim = await product.account();
    const echo = await deploy(victim.api, ECHO);
    const job = (lambdaId: string, token: string, connections: number, length: number): Job => ({
      url: `${product.origin}/1/lambdas/${lambdaId}/proxy/main`,
      connections,
      seconds: length,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: BODY,
    });
    const p99 = async (): Promise<number> => {
      const { p99Us, errors } = await latency(job(echo, victim.token, 1, seconds));
      if (errors > 0) throw new Error(`${errors} of the victim's requests failed`);
      return p99Us;
    };
    await p99();
    const rows: Row[] = [];
    for (const [name, { main, connections }] of Object.entries(ATTACKS)) {
      const { account_id: accountId } = (await product.operator.createAccount({ name })).json;
      const { token } = (await product.operator.createToken(accountId, { scopes: ['admin'] })).json;
      const attackerApi = new LambdaApi({ origin: product.origin, api: 1, token });
      const attack = await deploy(attackerApi, `export async function main() { ${main} }`);
      const ratios: number[] = [];
      for (let pair = 1; pair <= pairs; pair += 1) {
        const quiet = await p99();
        const attacker = startBackgroundLoad(job(attack, token, connections, seconds + 10));
        await pause(RUN_UP_MS);
        const loud = await p99().finally(() => endLoad(attacker));
        ratios.push(loud / quiet);
        say(`${pair}/${pairs} ${name}: p99 quiet ${Math.round(quiet)} us, attacked ${Math.round(loud)} us`);
      }
      await attackerApi.deleteLambda({ lambdaId: attack });
      rows.push({
        bench: 'neighbour',
        figure: `p99 while another ${name}`,
        value: median(ratios),
        unit: 'x',
        must: { most: 2 },
        samples: ratios,
      });
    }
    return rows;
  } finally {
    await product.stop();
  }
}
