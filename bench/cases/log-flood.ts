import { setTimeout as pause } from 'node:timers/promises';
import { endLoad, startBackgroundLoad } from '../background-load.ts';
import { LambdaApi } from '../../src/client/index.ts';
import { latency, type Job } from '../load.ts';
import type { BenchOptions } from '../main.ts';
import { deploy, ECHO, residentBytes, startProduct, type Product } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';
import { BODY } from './http-echo.ts';

/** Each call says 5 MB in lines of 1 kB; ten calls a second are the flood of 50 MB/s. */
const FLOOD = `export async function main() {
  const line = 'x'.repeat(1_000);
  for (let n = 0; n < 5_000; n++) console.log(line);
  return 5_000;
}`;
const CALLS_PER_S = 10;
const LINE_BYTES = 1_000;
/** The flood is under way for so long before the victim is measured: its burst is over then. */
const RUN_UP_MS = 2_500;
const MB = 1e6;

/** What one account's echo takes while a lambda of another account floods its log, and what the flood does to the host's memory. */
export async function logFlood({ pairs, seconds, say }: BenchOptions): Promise<Row[]> {
  const product = await startProduct();
  try {
    const victim = await product.account();
    // As an account is made, but for its rate: so that the flood is the same on every machine.
    const { account_id: flooderId } = (await product.operator.createAccount({ name: 'flooder' })).json;
    await product.operator.putQuota(flooderId, { rate_per_s: CALLS_PER_S });
    const { token: flooderToken } = (await product.operator.createToken(flooderId, { scopes: ['admin'] }))
      .json;
    const flooder = new LambdaApi({ origin: product.origin, api: 1, token: flooderToken });
    const echo = await deploy(victim.api, ECHO);
    const flood = await deploy(flooder, FLOOD);
    const job = (lambdaId: string, token: string, length: number, connections = 1): Job => ({
      url: `${product.origin}/1/lambdas/${lambdaId}/proxy/main`,
      connections,
      seconds: length,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: BODY,
    });
    const measure = () => latency(job(echo, victim.token, seconds));
    await measure();
    const restingBytes = residentBytes(product);
    const p50s: number[] = [];
    const p99s: number[] = [];
    const rates: number[] = [];
    let mostBytes = restingBytes;
    for (let pair = 1; pair <= pairs; pair += 1) {
      const quiet = await measure();
      const before = await linesOf(product);
      const flooding = startBackgroundLoad(job(flood, flooderToken, seconds + 60, 2));
      // A busy machine may take a while to start a process of the lowest priority.
      while ((await linesOf(product)).dropped === before.dropped) await pause(100);
      await pause(RUN_UP_MS);
      const startedMs = performance.now();
      const atStart = await linesOf(product);
      const watching = setInterval(() => (mostBytes = Math.max(mostBytes, residentBytes(product))), 50);
      const loud = await measure().finally(() => clearInterval(watching));
      const atEnd = await linesOf(product);
      const floodedS = (performance.now() - startedMs) / 1_000;
      await endLoad(flooding);
      p50s.push(loud.p50Us / quiet.p50Us);
      p99s.push(loud.p99Us / quiet.p99Us);
      rates.push(
        ((atEnd.kept + atEnd.dropped - atStart.kept - atStart.dropped) * LINE_BYTES) / floodedS / MB,
      );
      say(
        `${pair}/${pairs} p50 ${Math.round(quiet.p50Us)} us quiet, ${Math.round(loud.p50Us)} us flooded; p99 ${Math.round(quiet.p99Us)}, ` +
          `${Math.round(loud.p99Us)} us; ${rates.at(-1)!.toFixed(0)} MB/s said, ${atEnd.dropped - before.dropped} lines dropped`,
      );
    }
    const { items } = (await flooder.getLogs({ lambdaId: flood, level: 'warning' })).json;
    const remark = items.at(-1)?.message ?? 'nothing';
    say(`the log says: ${remark}`);
    const row = (figure: string, value: number, unit: Row['unit'], more: Partial<Row>): Row => ({
      bench: 'log-flood',
      figure,
      value,
      unit,
      samples: [value],
      ...more,
    });
    return [
      row('p50 while another account floods its log', median(p50s), 'x', {
        must: { most: 1.3 },
        samples: p50s,
      }),
      row('p99 meanwhile', median(p99s), 'x', { samples: p99s }),
      row('said by the flooding lambda', median(rates), 'MB/s', { samples: rates }),
      row("growth of the host's memory", (mostBytes - restingBytes) / MB, 'MB', { must: { most: 128 } }),
      row(
        'remarks on dropped lines in the log',
        items.filter(({ message }) => / dropped: /.test(message)).length,
        'count',
        {
          must: { least: 1 },
        },
      ),
    ];
  } finally {
    await product.stop();
  }
}

async function linesOf({ operator }: Product): Promise<{ kept: number; dropped: number }> {
  const { text } = await operator.getMetrics();
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'gm'))].reduce(
      (all, [, n]) => all + Number(n),
      0,
    );
  return { kept: sum('isolambda_log_lines_total'), dropped: sum('isolambda_log_lines_dropped_total') };
}
