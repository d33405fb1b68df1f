import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAdmission, type Admission, type Permit } from '../../src/admission/admission.ts';
import type { Failure } from '../../src/protocol/outcome.ts';
import { deploymentWith } from './deployment.ts';

function setup(): { admission: Admission; clock: { ms: number } } {
  const clock = { ms: 1_000_000 };
  return { admission: createAdmission({ now: () => clock.ms }), clock };
}
const isPermit = (result: Permit | Failure | Promise<Permit | Failure>): result is Permit =>
  'release' in result;
function permit(result: Permit | Failure | Promise<Permit | Failure>): Permit {
  assert.ok(isPermit(result), `expected a permit, got ${JSON.stringify(result)}`);
  return result;
}
function kindOf(result: Permit | Failure | Promise<Permit | Failure>): string {
  return 'kind' in result ? result.kind : 'release' in result ? 'permit' : 'waiting';
}

test('a lambda gets twice its rate at once, then its rate', () => {
  const { admission, clock } = setup();
  const deployment = deploymentWith({ rate_per_s: 10 });
  for (let n = 0; n < 20; n += 1) permit(admission.admit(deployment, Infinity)).release();
  const refused = admission.admit(deployment, Infinity);
  assert.equal(kindOf(refused), 'rate_limited');
  assert.ok('kind' in refused && refused.retryAfterMs === 100);
  clock.ms += 100;
  permit(admission.admit(deployment, Infinity)).release();
  assert.equal(kindOf(admission.admit(deployment, Infinity)), 'rate_limited');
});

test('a rate below one a second still lets one through', () => {
  const { admission, clock } = setup();
  const deployment = deploymentWith({ rate_per_s: 0.1 });
  permit(admission.admit(deployment, Infinity)).release();
  assert.equal(kindOf(admission.admit(deployment, Infinity)), 'rate_limited');
  clock.ms += 10_000;
  permit(admission.admit(deployment, Infinity)).release();
});

test("the account's rate holds over its lambdas, and a refusal costs the lambda nothing", () => {
  const { admission } = setup();
  const limits = { account_rate_per_s: 2, rate_per_s: 100 };
  const [a, b] = [deploymentWith(limits, { lambdaId: 'a' }), deploymentWith(limits, { lambdaId: 'b' })];
  permit(admission.admit(a, Infinity));
  permit(admission.admit(b, Infinity));
  permit(admission.admit(a, Infinity));
  permit(admission.admit(b, Infinity));
  for (let n = 0; n < 300; n += 1) assert.equal(kindOf(admission.admit(a, Infinity)), 'rate_limited');
  assert.equal(kindOf(admission.admit(deploymentWith({}, { accountId: 'account-2' }), Infinity)), 'permit');
});

test('a raised rate takes effect with the next call', () => {
  const { admission, clock } = setup();
  permit(admission.admit(deploymentWith({ rate_per_s: 0.5 }), Infinity));
  assert.equal(kindOf(admission.admit(deploymentWith({ rate_per_s: 0.5 }), Infinity)), 'rate_limited');
  clock.ms += 10;
  permit(admission.admit(deploymentWith({ rate_per_s: 1_000 }), Infinity));
});

test('a full lambda lets the next in when one leaves, in order of arrival', async () => {
  const { admission } = setup();
  const deployment = deploymentWith({ concurrency: 1 });
  const first = permit(admission.admit(deployment, Infinity));
  const order: number[] = [];
  const waiting = [1, 2, 3].map(async (n) => {
    const mine = permit(await admission.admit(deployment, 1_000_000 + 60_000));
    order.push(n);
    return mine;
  });
  assert.deepEqual(admission.usage('account-1'), { inFlight: 1, queued: 3 });
  first.release();
  (await waiting[0]!).release();
  (await waiting[1]!).release();
  (await waiting[2]!).release();
  assert.deepEqual(order, [1, 2, 3]);
  assert.deepEqual(admission.usage('account-1'), { inFlight: 0, queued: 0 });
});

test('a full lambda does not hold back another of its account', async () => {
  const { admission } = setup();
  const limits = { concurrency: 1, account_concurrency: 2 };
  const [slow, quick] = [
    deploymentWith(limits, { lambdaId: 'slow' }),
    deploymentWith(limits, { lambdaId: 'quick' }),
  ];
  const held = permit(admission.admit(slow, Infinity));
  const other = permit(admission.admit(quick, Infinity));
  const slowWaits = admission.admit(slow, 2_000_000);
  const quickWaits = admission.admit(quick, 2_000_000);
  other.release();
  permit(await quickWaits).release();
  assert.equal(kindOf(slowWaits), 'waiting');
  held.release();
  permit(await slowWaits).release();
});

test('the queue is bounded, and a queue of none refuses at once', () => {
  const { admission } = setup();
  const deployment = deploymentWith({ concurrency: 1, queue: 1 });
  const held = permit(admission.admit(deployment, Infinity));
  const waits = admission.admit(deployment, 2_000_000);
  assert.equal(kindOf(waits), 'waiting');
  assert.equal(kindOf(admission.admit(deployment, 2_000_000)), 'queue_full');
  assert.equal(
    kindOf(admission.admit(deploymentWith({ concurrency: 1, queue: 0 }), 2_000_000)),
    'concurrency_limit',
  );
  held.release();
});

test('a waiting call ends at its deadline, or when its caller leaves, and frees its place in the queue', async () => {
  const { admission } = setup();
  const deployment = deploymentWith({ concurrency: 1, queue: 5 });
  const held = permit(admission.admit(deployment, Infinity));
  const late = await admission.admit(deployment, 1_000_000);
  assert.equal(kindOf(late), 'queue_timeout');
  const leaving = new AbortController();
  const left = admission.admit(deployment, 2_000_000, leaving.signal);
  leaving.abort();
  assert.equal(kindOf(await left), 'canceled');
  assert.deepEqual(admission.usage('account-1'), { inFlight: 1, queued: 0 });
  held.release();
});

test('a permit gives its place back once, however often it is released', () => {
  const { admission } = setup();
  const deployment = deploymentWith();
  const one = permit(admission.admit(deployment, Infinity));
  permit(admission.admit(deployment, Infinity));
  one.release();
  one.release();
  assert.equal(admission.usage('account-1').inFlight, 1);
});

test('accounts and lambdas that rest are forgotten, others are not', () => {
  const { admission, clock } = setup();
  for (let n = 0; n < 500; n += 1) {
    const names = { accountId: `account-${n}`, lambdaId: `lambda-${n}` };
    const entered = permit(admission.admit(deploymentWith({}, names), Infinity));
    if (n !== 7) entered.release();
  }
  assert.equal(admission.known, 1_000);
  clock.ms += 200_000;
  permit(admission.admit(deploymentWith({}, { accountId: 'new', lambdaId: 'newer' }), Infinity));
  assert.equal(admission.known, 4);
  assert.equal(admission.usage('account-7').inFlight, 1);
});
