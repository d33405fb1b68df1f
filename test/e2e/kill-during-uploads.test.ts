import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { LambdaApi } from '../../src/client/index.ts';
import { archiveOf, callMain, startTestHost } from '../host.ts';

const UPLOADS = 200;
const AT_ONCE = 8;

test(
  'kill -9 during 200 uploads: every one that got its 201 is there after a restart, and runs',
  { timeout: 240_000 },
  async () => {
    const first = await startTestHost();
    const { accountId, token, api } = await first.account({ lambdas: UPLOADS });
    const acknowledged = new Map<string, number>();
    let next = 0;
    let killed = false;
    const uploader = async (): Promise<void> => {
      while (next < UPLOADS && !killed) {
        const n = next++;
        try {
          const archive = archiveOf({
            'lambda_main.ts': `export async function main(request: unknown) { return ${n}; }`,
          });
          const { lambda_id: lambdaId } = (
            await api.createLambda({ archive, parameters: { lambda_type: 'standalone', name: `n${n}` } })
          ).json;
          acknowledged.set(lambdaId, n);
          // In the middle of the work: seven others are on their way.
          if (acknowledged.size === UPLOADS / 2) {
            killed = true;
            await first.kill();
          }
        } catch (error) {
          if (!killed) throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, uploader));
    assert.ok(acknowledged.size >= UPLOADS / 2);

    const second = await startTestHost({ dataDir: first.dataDir });
    try {
      const again = new LambdaApi({ origin: second.origin, api: 1, token });
      const listed = (await again.getLambdas({ pageSize: 1 })).json.total;
      assert.ok(listed >= acknowledged.size, `${listed} are listed, ${acknowledged.size} were acknowledged`);
      for (const [lambdaId, n] of acknowledged) {
        await again.waitUntilRunning(lambdaId, { timeoutMs: 60_000 });
        const reply = await callMain(again, lambdaId);
        assert.deepEqual([reply.statusCode, reply.json], [200, n], `account ${accountId}: ${reply.text}`);
      }
    } finally {
      await second.stop();
      await rm(first.dataDir, { recursive: true, force: true });
    }
  },
);
