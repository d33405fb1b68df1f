import { latency, type LoadResult } from '../load.ts';
import type { BenchOptions } from '../main.ts';
import { startWorkerd } from '../peers.ts';
import { deploy, ECHO, startProduct } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';
import { BODY } from './http-echo.ts';

/** The same echo over one connection, one request at a time. */
export async function httpLatency({ pairs, seconds, say }: BenchOptions): Promise<Row[]> {
  const [product, workerd] = [await startProduct(), await startWorkerd()];
  try {
    const { token, api } = await product.account();
    const lambdaId = await deploy(api, ECHO);
    const run = (url: string, headers: Record<string, string> = {}): Promise<LoadResult> =>
      latency({
        url,
        connections: 1,
        seconds,
        headers: { 'content-type': 'application/json', ...headers },
        body: BODY,
      });
    const ours = `${product.origin}/1/lambdas/${lambdaId}/proxy/main`;
    const p50s: number[] = [];
    const ratios: number[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      const mine = await run(ours, { authorization: `Bearer ${token}` });
      const theirs = await run(workerd.origin);
      if (mine.errors > 0) throw new Error(`${mine.errors} requests failed`);
      p50s.push(mine.p50Us);
      ratios.push(mine.p50Us / theirs.p50Us);
      say(
        `${pair}/${pairs}: isolambda p50 ${Math.round(mine.p50Us)} us, workerd ${Math.round(theirs.p50Us)} us`,
      );
    }
    return [
      { bench: 'http-latency', figure: 'p50', value: median(p50s), unit: 'us', samples: p50s },
      {
        bench: 'http-latency',
        figure: 'p50 against workerd',
        value: median(ratios),
        unit: 'x',
        must: { most: 1.3 },
        aim: 1,
        samples: ratios,
      },
    ];
  } finally {
    await Promise.all([product.stop(), workerd.stop()]);
  }
}
