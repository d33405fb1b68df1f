import { load, type LoadResult } from '../load.ts';
import type { BenchOptions } from '../main.ts';
import { startFastify } from '../peers.ts';
import { deploy, ECHO, startProduct } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';

const BODY_BYTES = 1024 * 1024;
const CONNECTIONS = 8;

/** 1 MiB of JSON in, parsed, and 1 MiB out. */
export async function httpLarge({ pairs, seconds, generator, say }: BenchOptions): Promise<Row[]> {
  const [product, fastify] = [await startProduct(), await startFastify()];
  try {
    const { token, api } = await product.account();
    const lambdaId = await deploy(api, ECHO);
    const run = (url: string, headers: Record<string, string> = {}): Promise<LoadResult> =>
      load(
        {
          url,
          connections: CONNECTIONS,
          seconds,
          headers: { 'content-type': 'application/json', ...headers },
          bodyBytes: BODY_BYTES,
        },
        generator,
      );
    const ours = `${product.origin}/1/lambdas/${lambdaId}/proxy/main`;
    const rates: number[] = [];
    const ratios: number[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      const mine = await run(ours, { authorization: `Bearer ${token}` });
      const theirs = await run(fastify.origin);
      if (mine.errors > 0) throw new Error(`${mine.errors} requests failed`);
      rates.push(mine.perSecond);
      ratios.push(mine.perSecond / theirs.perSecond);
      say(
        `${pair}/${pairs}: isolambda ${Math.round(mine.perSecond)}/s, Fastify ${Math.round(theirs.perSecond)}/s`,
      );
    }
    return [
      {
        bench: 'http-large',
        figure: 'requests per second',
        value: median(rates),
        unit: 'per s',
        samples: rates,
      },
      {
        bench: 'http-large',
        figure: 'against Fastify',
        value: median(ratios),
        unit: 'x',
        must: { least: 0.5 },
        aim: 0.8,
        samples: ratios,
      },
    ];
  } finally {
    await Promise.all([product.stop(), fastify.stop()]);
  }
}
