import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createAdmission, type Permit } from '../../src/admission/admission.ts';
import { TokenBucket } from '../../src/admission/token-bucket.ts';
import {
  effectiveLimits,
  LIMIT_KEYS,
  limitProblems,
  LIMITS,
  type LimitKey,
  type PartialLimits,
} from '../../src/config/limits.ts';
import { IsolambdaError } from '../../src/errors/error.ts';
import type { Failure } from '../../src/protocol/outcome.ts';
import { AccountBook } from '../../src/registry/account-book.ts';
import { checker } from '../../src/schemas/check.ts';
import { Quota } from '../../src/schemas/index.ts';
import { deploymentWith } from '../unit/deployment.ts';
import { area } from './runs.ts';

const { holds, holdsAsync } = area(5);

const someLimits: fc.Arbitrary<PartialLimits> = fc
  .array(
    fc.tuple(
      fc.constantFrom(...LIMIT_KEYS),
      fc.oneof(fc.nat({ max: 2_000 }), fc.nat(), fc.constantFrom(0.01, 0.5, 1e9)),
    ),
    { maxLength: 6 },
  )
  .map((pairs) => Object.fromEntries(pairs) as PartialLimits);

describe('the limits in force', () => {
  it('are the least of quota or default, ceiling, and a lambda’s wish, and nothing a lambda asks for raises one', () => {
    holds(
      fc.property(someLimits, someLimits, someLimits, (ceilings, quota, wishes) => {
        const inForce = effectiveLimits(ceilings, quota, wishes);
        const unasked = effectiveLimits(ceilings, quota);
        assert.deepEqual(Object.keys(inForce), LIMIT_KEYS);
        for (const key of LIMIT_KEYS) {
          const granted = quota[key] ?? LIMITS[key].default;
          const of = [granted, ceilings[key] ?? granted];
          assert.equal(unasked[key], Math.min(...of), key);
          const wish = LIMITS[key].scope === 'lambda' ? wishes[key] : undefined;
          assert.equal(inForce[key], Math.min(...of, wish ?? granted), key);
          assert.ok(inForce[key] <= unasked[key], key);
        }
      }),
    );
  });
  it('change with the operator’s ceilings and the quota at once, however often they were asked for', () => {
    const change = fc.record({
      ceilings: fc.option(someLimits, { nil: undefined }),
      quota: someLimits,
      wishes: someLimits,
    });
    holds(
      fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
        const book = new AccountBook({ limits: {}, services: {} });
        const account = book.add({ id: 'a', name: 'a', createdAt: 0, updatedAt: 0 });
        for (const { ceilings, quota, wishes } of changes) {
          if (ceilings) book.reconfigure({ limits: ceilings, services: {} });
          account.quota = { ...account.quota, limits: quota };
          account.refresh();
          assert.deepEqual(account.limits, effectiveLimits(book.config.limits, quota));
          assert.deepEqual(account.limitsFor(wishes), effectiveLimits(book.config.limits, quota, wishes));
        }
      }),
    );
  });
});

const checkQuota = checker(Quota);
const isGood = (value: unknown): boolean => {
  try {
    checkQuota(value, 'body');
    return true;
  } catch (thrown) {
    assert.ok(thrown instanceof IsolambdaError && thrown.code === 'bad_request', String(thrown));
    return false;
  }
};

describe('a quota', () => {
  it('of any JSON is taken or refused, and what is taken is within the table’s bounds', () => {
    const key = fc.oneof(
      fc.constantFrom<string>(...LIMIT_KEYS),
      fc.constantFrom('__proto__', 'x', 'egress'),
      fc.string(),
    );
    const value = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.constantFrom(-1, 0, 0.5, 1e300, '1', null),
      fc.jsonValue(),
    );
    const quota = fc.oneof(
      fc.array(fc.tuple(key, value), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs) as unknown),
      fc.jsonValue(),
    );
    holds(
      fc.property(quota, (given) => {
        const json: unknown = JSON.parse(JSON.stringify(given));
        if (!isGood(json)) return;
        const { egress, ...limits } = json as { egress?: unknown };
        assert.ok(egress === undefined || Array.isArray(egress));
        // Two checks, one of the API and one of the registry: they agree.
        assert.deepEqual(limitProblems(limits, 'account'), []);
        for (const [name, number] of Object.entries(limits))
          assert.ok(Number(number) >= LIMITS[name as LimitKey].min);
      }),
    );
  });
});

describe('a token bucket', () => {
  it('lets through a burst and its rate, never more; and whoever waits as long as it says gets in', () => {
    const step = fc.record({
      waitMs: fc.oneof(
        fc.nat({ max: 50 }),
        fc.nat({ max: 5_000 }),
        fc.constant(0),
        fc.integer({ min: -500, max: -1 }),
      ),
      asIt: fc.boolean(),
    });
    const rate = fc.oneof(
      fc.integer({ min: 1, max: 50 }),
      fc.constantFrom(0.01, 0.1, 1 / 3, 0.7, 333.3, 1e6),
    );
    holds(
      fc.property(rate, fc.array(step, { maxLength: 60 }), (perS, steps) => {
        let nowMs = 1_000_000;
        let [latestMs, taken] = [nowMs, 0];
        const bucket = new TokenBucket(perS, nowMs);
        const [beganMs, burst] = [nowMs, Math.max(1, 2 * perS)];
        let backMs = 0;
        for (const { waitMs, asIt } of steps) {
          // A clock that is set back must not make the bucket fill twice.
          if (waitMs < 0) backMs -= waitMs;
          nowMs += waitMs;
          latestMs = Math.max(latestMs, nowMs);
          const untilMs = bucket.take(perS, nowMs);
          if (untilMs === 0) taken += 1;
          else if (asIt) {
            nowMs += Math.ceil(untilMs);
            latestMs = Math.max(latestMs, nowMs);
            assert.equal(bucket.take(perS, nowMs), 0, `${untilMs} ms were not enough`);
            taken += 1;
          }
          assert.ok(untilMs >= 0);
        }
        const most = burst + ((latestMs - beganMs + backMs) / 1_000) * perS;
        assert.ok(taken <= most + taken * 1e-6, `${taken} of ${most}`);
      }),
    );
  });
});

describe('admission', () => {
  const LAMBDAS = ['one', 'two', 'three'];
  const NOW_MS = 1_000_000;
  const quota = fc.record({
    concurrency: fc.integer({ min: 1, max: 3 }),
    account_concurrency: fc.integer({ min: 1, max: 5 }),
    queue: fc.nat({ max: 4 }),
  });
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ admit: fc.constantFrom(...LAMBDAS) }) },
    { weight: 4, arbitrary: fc.record({ release: fc.nat(), twice: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ leave: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ quota }) },
  );
  interface Caller {
    readonly lambda: string;
    readonly gone: AbortController;
  }

  it('holds no more than the limits in force, lets in whom there is room for, the oldest first, and loses no release', () =>
    holdsAsync(
      fc.asyncProperty(quota, fc.array(step, { maxLength: 30 }), async (first, steps) => {
        const admission = createAdmission({ now: () => NOW_MS });
        let inForce = first;
        /** What admission was told last. */
        const told = { account: 0, lambdas: new Map<string, number>() };
        const inside: { readonly lambda: string; readonly permit: Permit }[] = [];
        const waiting: Caller[] = [];
        const insideOf = (lambda: string): number => inside.filter((each) => each.lambda === lambda).length;

        const settle = (caller: Caller, result: Permit | Failure): void => {
          const at = waiting.indexOf(caller);
          if (at >= 0) waiting.splice(at, 1);
          if ('kind' in result) return;
          assert.ok(
            !waiting.slice(0, Math.max(0, at)).some(({ lambda }) => lambda === caller.lambda),
            'overtaken',
          );
          inside.push({ lambda: caller.lambda, permit: result });
          assert.ok(inside.length <= told.account, 'the account has too many in flight');
          assert.ok(insideOf(caller.lambda) <= told.lambdas.get(caller.lambda)!, 'the lambda has too many');
        };

        const admit = (lambda: string): void => {
          const limits = { ...inForce, rate_per_s: 1e9, account_rate_per_s: 1e9 };
          const caller = { lambda, gone: new AbortController() };
          told.account = inForce.account_concurrency;
          told.lambdas.set(lambda, inForce.concurrency);
          const result = admission.admit(
            deploymentWith(limits, { lambdaId: lambda }),
            NOW_MS + 600_000,
            caller.gone.signal,
          );
          if ('release' in result) settle(caller, result);
          else if (result instanceof Promise) {
            waiting.push(caller);
            void result.then((later) => settle(caller, later));
          } else assert.equal(result.kind, inForce.queue === 0 ? 'concurrency_limit' : 'queue_full');
        };

        const perform = async (what: (typeof steps)[number]): Promise<void> => {
          if ('quota' in what) inForce = what.quota;
          else if ('admit' in what) admit(what.admit);
          else if ('leave' in what) waiting[what.leave % waiting.length]?.gone.abort();
          else {
            const [left] = inside.splice(what.release % Math.max(1, inside.length), 1);
            left?.permit.release();
            if (what.twice) left?.permit.release();
          }
          await turn();
          assert.deepEqual(admission.usage('account-1'), { inFlight: inside.length, queued: waiting.length });
          for (const { lambda } of waiting)
            assert.ok(
              inside.length >= told.account || insideOf(lambda) >= told.lambdas.get(lambda)!,
              'one waits though there is room',
            );
        };

        for (const each of steps) await perform(each);
        while (inside.length > 0) await perform({ release: 0, twice: false });
        assert.equal(waiting.length, 0);
      }),
    ));
});

/** Promises that are settled have told so by then. */
const turn = (): Promise<void> => Promise.resolve().then(() => undefined);
