import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Store } from '../../src/store/store.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, type UsageCount } from '../../src/store/usage.ts';
import { DIALECTS, openRegistry } from '../registry.ts';

const count = (given: Partial<UsageCount>): UsageCount => ({
  accountId: 'a',
  lambdaId: 'l',
  time: 0,
  outcome: 'reply',
  count: 1,
  cpuUs: 10,
  mbMs: 20,
  bytesIn: 30,
  bytesOut: 40,
  ...given,
});

for (const dialect of DIALECTS)
  describe(`stored usage, ${dialect}`, () => {
    let store: Store;
    const endings: (() => Promise<void>)[] = [];
    before(async () => {
      ({ store } = await openRegistry({ after: (end) => endings.push(end) }, { dialect }));
    });
    after(async () => {
      for (const end of endings) await end();
    });

    test('counts of the same minute add up, and steps sum them', async () => {
      await store.usage.add([count({}), count({ time: MINUTE_MS }), count({ outcome: 'timeout' })]);
      await store.usage.add([count({}), count({ lambdaId: 'm', time: HOUR_MS })]);
      await store.usage.add([count({ accountId: 'b' })]);
      const range = { accountId: 'a', from: 0, to: DAY_MS };
      const minutes = await store.usage.sums({ ...range, step: 'minute' });
      assert.deepEqual(
        minutes.map(({ time, outcome, count }) => [time, outcome, count]),
        [
          [0, 'reply', 2],
          [0, 'timeout', 1],
          [MINUTE_MS, 'reply', 1],
          [HOUR_MS, 'reply', 1],
        ],
      );
      const [hour] = await store.usage.sums({ ...range, lambdaId: 'l', step: 'hour' });
      assert.deepEqual(hour, {
        time: 0,
        outcome: 'reply',
        count: 3,
        cpuUs: 30,
        mbMs: 60,
        bytesIn: 90,
        bytesOut: 120,
      });
      assert.equal((await store.usage.sums({ ...range, to: HOUR_MS, step: 'day' })).length, 2);
    });

    test('old minutes become hours with the same sums, and older hours go', async () => {
      const start = 500 * DAY_MS;
      const times = [start, start + MINUTE_MS, start + HOUR_MS];
      await store.usage.add(times.map((time) => count({ accountId: 'old', time })));
      const range = { accountId: 'old', from: start, to: start + DAY_MS, step: 'minute' as const };
      const shape = async (): Promise<number[][]> =>
        (await store.usage.sums(range)).map((sum) => [sum.time - start, sum.count]);

      await store.usage.age(start + 7 * DAY_MS);
      assert.deepEqual(
        await shape(),
        [
          [0, 1],
          [MINUTE_MS, 1],
          [HOUR_MS, 1],
        ],
        'a week is kept by the minute',
      );
      for (let again = 0; again < 2; again += 1) {
        await store.usage.age(start + 8 * DAY_MS);
        assert.deepEqual(await shape(), [
          [0, 2],
          [HOUR_MS, 1],
        ]);
      }
      await store.usage.age(start + 401 * DAY_MS);
      assert.deepEqual(await shape(), []);
    });
  });
