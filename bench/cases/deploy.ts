import type { BenchOptions } from '../main.ts';
import { archiveOf, ECHO, startProduct } from '../product.ts';
import type { Row } from '../report.ts';
import { median } from '../statistics.ts';
import { BODY } from './http-echo.ts';

/** From the upload of an archive to the first reply of the lambda in it. */
export async function deployTime({ pairs, say }: BenchOptions): Promise<Row[]> {
  const product = await startProduct();
  try {
    const { api } = await product.account();
    const times: number[] = [];
    const turns = pairs * 4;
    for (let turn = 0; turn <= turns; turn += 1) {
      const start = performance.now();
      const archive = archiveOf({ 'lambda_main.ts': `${ECHO}// ${turn}\n` });
      const { lambda_id: lambdaId } = (
        await api.createLambda({ archive, parameters: { lambda_type: 'standalone' } })
      ).json;
      await api.waitUntilRunning(lambdaId);
      const reply = await api.proxyLambdaPost({ lambdaId, path: 'main', body: JSON.parse(BODY) as object });
      if (reply.statusCode !== 200) throw new Error(`status ${reply.statusCode}`);
      const ms = performance.now() - start;
      await api.deleteLambda({ lambdaId });
      if (turn === 0) continue;
      times.push(ms);
      say(`${turn}/${turns}: ${ms.toFixed(0)} ms`);
    }
    return [
      {
        bench: 'deploy',
        figure: 'upload to first reply, p50',
        value: median(times),
        unit: 'ms',
        must: { most: 300 },
        aim: 120,
        samples: times,
      },
    ];
  } finally {
    await product.stop();
  }
}
