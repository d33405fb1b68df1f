import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createUsageMeter } from '../../src/registry/usage-meter.ts';
import type { UsageCount } from '../../src/store/usage.ts';
import { openRegistry, DIALECTS } from '../registry.ts';

const CALL = { lambdaId: 'l', cpuUs: 2_000_000, wallUs: 1_000_000, memoryMb: 1_024, bytesIn: 3, bytesOut: 5 };

describe('usage', () => {
  for (const dialect of DIALECTS)
    test(`a report has what was counted a moment ago, and a restart keeps it, ${dialect}`, async (t) => {
      const { registry, clock, reopen } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      clock.time = 3_600_000 * 1_000;
      const from = clock.time;
      registry.usage.invocation({ ...CALL, accountId, outcome: 'reply' });
      registry.usage.invocation({ ...CALL, accountId, outcome: 'timeout' });
      registry.usage.egress({ accountId, lambdaId: 'l', bytes: 7 });
      clock.time += 60_000;
      registry.usage.invocation({ ...CALL, accountId, lambdaId: 'm', outcome: 'reply' });
      const query = { accountId, from, to: from + 3_600_000, step: 'minute' as const };
      const report = await registry.usage.report(query);
      assert.deepEqual(report.total, {
        invocations: 3,
        outcomes: { reply: 2, timeout: 1 },
        cpuSeconds: 6,
        gbSeconds: 3,
        bytesIn: 9,
        bytesOut: 15,
        egressRequests: 1,
        egressBytes: 7,
      });
      assert.deepEqual(
        report.points.map(({ time, invocations }) => [time - from, invocations]),
        [
          [0, 2],
          [60_000, 1],
        ],
      );
      // Counted, and not asked for: closing writes it.
      registry.usage.invocation({ ...CALL, accountId, outcome: 'reply' });
      const again = (await reopen()).registry;
      assert.equal((await again.usage.report(query)).total.invocations, 4);
      assert.equal((await again.usage.report({ ...query, lambdaId: 'm' })).total.invocations, 1);
    });

  test('what could not be written is written by the next flush, once', async (t) => {
    let broken = true;
    const written: UsageCount[] = [];
    const meter = createUsageMeter({
      usage: {
        add: async (counts) => {
          if (broken) throw new Error('disk full');
          written.push(...counts);
        },
        sums: async () => [],
        age: async () => undefined,
        deleteAccount: async () => undefined,
      },
      now: () => 60_000,
      flushMs: 1_000_000,
      exists: () => true,
      onError: () => undefined,
    });
    t.after(() => meter.close());
    meter.invocation({ ...CALL, accountId: 'a', outcome: 'reply' });
    await assert.rejects(meter.flush(), /disk full/);
    meter.invocation({ ...CALL, accountId: 'a', outcome: 'reply' });
    broken = false;
    await Promise.all([meter.flush(), meter.flush()]);
    assert.equal(
      written.reduce((sum, { count }) => sum + count, 0),
      2,
    );
  });
});
