import { load, type LoadResult } from '../load.ts';
import type { BenchOptions } from '../main.ts';
import { startFastify, startWorkerd } from '../peers.ts';
import { deploy, ECHO, startProduct } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';

/** 65 bytes of JSON. */
export const BODY = JSON.stringify({ name: 'echo', values: [1, 2, 3], text: 'abcdefghijklmnopqrstuvw' });
const CONNECTIONS = 64;
/** V8 has compiled what is hot by then, in host, runner and isolate as in the peers. */
const WARM_UP_SECONDS = 8;

/** Requests per second of a lambda that parses JSON and returns it, beside servers that do the same without walls. */
export async function httpEcho({ pairs, seconds, generator, say }: BenchOptions): Promise<Row[]> {
  const [product, fastify, workerd] = [await startProduct(), await startFastify(), await startWorkerd()];
  try {
    const { token, api } = await product.account();
    const lambdaId = await deploy(api, ECHO);
    const json = { 'content-type': 'application/json' };
    const run = (url: string, headers: Record<string, string> = {}, length = seconds): Promise<LoadResult> =>
      load(
        { url, connections: CONNECTIONS, seconds: length, headers: { ...json, ...headers }, body: BODY },
        generator,
      );
    const ours = `${product.origin}/1/lambdas/${lambdaId}/proxy/main`;
    const auth = { authorization: `Bearer ${token}` };
    await run(ours, auth, WARM_UP_SECONDS);
    await run(fastify.origin, {}, WARM_UP_SECONDS);
    await run(workerd.origin, {}, WARM_UP_SECONDS);

    const turns: { product: LoadResult; fastify: LoadResult; workerd: LoadResult }[] = [];
    for (let pair = 1; pair <= pairs; pair += 1) {
      const turn = {
        product: await run(ours, auth),
        fastify: await run(fastify.origin),
        workerd: await run(workerd.origin),
      };
      if (turn.product.errors > 0) throw new Error(`${turn.product.errors} requests failed`);
      turns.push(turn);
      say(
        `${pair}/${pairs}: isolambda ${Math.round(turn.product.perSecond)}/s, Fastify ${Math.round(turn.fastify.perSecond)}/s, workerd ${Math.round(turn.workerd.perSecond)}/s`,
      );
    }
    const ratios = (of: (turn: (typeof turns)[number]) => number): { value: number; samples: number[] } => {
      const samples = turns.map(of);
      return { value: median(samples), samples };
    };
    return [
      {
        bench: 'http-echo',
        figure: 'requests per second',
        unit: 'per s',
        ...ratios((turn) => turn.product.perSecond),
      },
      {
        bench: 'http-echo',
        figure: 'against Fastify',
        unit: 'x',
        must: { least: 0.8 },
        aim: 1,
        ...ratios((turn) => turn.product.perSecond / turn.fastify.perSecond),
      },
      {
        bench: 'http-echo',
        figure: 'against workerd',
        unit: 'x',
        must: { least: 2 },
        aim: 2.5,
        ...ratios((turn) => turn.product.perSecond / turn.workerd.perSecond),
      },
      {
        bench: 'http-echo',
        figure: 'p99 against workerd',
        unit: 'x',
        must: { most: 1 },
        ...ratios((turn) => turn.product.p99Us / turn.workerd.p99Us),
      },
    ];
  } finally {
    await Promise.all([product.stop(), fastify.stop(), workerd.stop()]);
  }
}
