import { setTimeout as pause } from 'node:timers/promises';
import type { BenchOptions } from '../main.ts';
import { startWorkerd } from '../peers.ts';
import { deploy, ECHO, startProduct, type Product } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';
import { BODY } from './http-echo.ts';

const IDLE_MS = 200;
const SPARES = 2;

/**
 * From the request for a lambda whose isolate and runner are gone, with a spare runner ready, to its reply;
 * beside workerd from the start of its process to its first reply.
 */
export async function coldStart({ pairs, say }: BenchOptions): Promise<Row[]> {
  const product = await startProduct({
    'sandbox-idle-ms': String(IDLE_MS),
    'sandbox-spare-runners': String(SPARES),
  });
  try {
    const { token, api } = await product.account();
    const lambdaId = await deploy(api, ECHO);
    const call = async (): Promise<void> => {
      const reply = await fetch(`${product.origin}/1/lambdas/${lambdaId}/proxy/main`, {
        method: 'POST',
        body: BODY,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      });
      if ((await reply.text()) !== BODY) throw new Error(`wrong reply, status ${reply.status}`);
    };
    const times: number[] = [];
    const ratios: number[] = [];
    const turns = pairs * 4;
    for (let turn = 0; turn <= turns; turn += 1) {
      await evicted(product, lambdaId);
      // The connection is kept warm by this call, so that only the lambda is cold.
      await product.operator.getHealth();
      const mine = await timed(call);
      const theirs = await timed(workerdFromNothing);
      if (turn === 0) continue;
      times.push(mine);
      ratios.push(mine / theirs);
      say(`${turn}/${turns}: isolambda ${mine.toFixed(1)} ms, workerd ${theirs.toFixed(1)} ms`);
    }
    return [
      { bench: 'cold-start', figure: 'p50', value: median(times), unit: 'ms', samples: times },
      {
        bench: 'cold-start',
        figure: 'p50 against workerd',
        value: median(ratios),
        unit: 'x',
        must: { most: 0.5 },
        aim: 0.2,
        samples: ratios,
      },
    ];
  } finally {
    await product.stop();
  }
}

/** Waits until no isolate of the lambda is left, its runner has ended, and the spares are booted. */
async function evicted(product: Product, lambdaId: string): Promise<void> {
  for (;;) {
    const { instances } = (await product.operator.getStatus({ lambdaId })).json;
    const { text } = await product.operator.getMetrics();
    const gauge = (name: string): number => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
    if (
      instances.length === 0 &&
      gauge('isolambda_runners') === gauge('isolambda_spare_runners') &&
      gauge('isolambda_spare_runners') === SPARES
    )
      break;
    await pause(50);
  }
  await pause(100);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Its process, its first request, its reply; ending it is not part of the time. */
async function workerdFromNothing(): Promise<void> {
  const workerd = await startWorkerd();
  const reply = await fetch(workerd.origin, { method: 'POST', body: BODY });
  await reply.text();
  void workerd.stop();
}
