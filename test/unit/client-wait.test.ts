import { strict as assert } from 'node:assert';
import { test, type TestContext } from 'node:test';
import { LambdaApi, LambdaStateError, LambdaTimeoutError } from '../../src/client/index.ts';
import type { Status } from '../../src/schemas/index.ts';
import { json, serve } from './client-server.ts';

const status = (state: Status['status'], more: Partial<Status> = {}): Status => ({
  lambda_id: 'id',
  status: state,
  detail: null,
  version: 1,
  update: null,
  instances: [],
  ...more,
});
const updating = (version: number): Partial<Status> => ({ update: { version, status: 'starting' } });

/** Tells one status after the other, and the last for ever. */
async function telling(t: TestContext, ...told: Status[]): Promise<{ api: LambdaApi; asked: unknown[] }> {
  const { origin, asked } = await serve(t, (one, response) =>
    json(200, told.length > 1 ? told.shift() : told[0])(one, response),
  );
  return { api: new LambdaApi({ origin }), asked };
}

test('waits through building until it runs', async (t) => {
  const { api, asked } = await telling(t, status('waiting'), status('building'), status('running'));
  assert.equal((await api.waitUntilRunning('id')).status, 'running');
  assert.equal(asked.length, 3);
});

test('waits for an update under way, and for the version that was asked for', async (t) => {
  const { api } = await telling(t, status('running', updating(2)), status('running', { version: 2 }));
  assert.equal((await api.waitUntilRunning('id')).version, 2);
  const next = await telling(t, status('running', updating(2)), status('running', { version: 2 }));
  assert.equal((await next.api.waitUntilRunning('id', { version: 2 })).version, 2);
});

test('a lambda that failed or was switched off is not waited for', async (t) => {
  for (const state of ['failed', 'disabled'] as const) {
    const { api } = await telling(t, status('building'), status(state, { detail: 'because' }));
    await assert.rejects(api.waitUntilRunning('id'), (error) => {
      assert.ok(error instanceof LambdaStateError);
      assert.deepEqual([error.lambdaId, error.status, error.detail], ['id', state, 'because']);
      return true;
    });
  }
});

test('a failed lambda whose next version is under way is waited for', async (t) => {
  const { api } = await telling(t, status('failed', updating(2)), status('running', { version: 2 }));
  assert.equal((await api.waitUntilRunning('id', { version: 2 })).version, 2);
});

test('a version that another one serves instead of is told', async (t) => {
  const { api } = await telling(t, status('running', updating(2)), status('running', { version: 1 }));
  await assert.rejects(
    api.waitUntilRunning('id', { version: 2 }),
    /version 2 does not serve, version 1 does/,
  );
});

test('a time limit ends it, with the last state', async (t) => {
  const { api } = await telling(t, status('building'));
  await assert.rejects(api.waitUntilRunning('id', { timeoutMs: 60 }), (error) => {
    assert.ok(error instanceof LambdaTimeoutError);
    assert.equal(error.timeoutMs, 60);
    assert.match(error.message, /is building, not running, after 60 ms/);
    return true;
  });
});

test('a signal ends it between two questions', async (t) => {
  const { api, asked } = await telling(t, status('building'));
  const reason = new Error('enough');
  const aborter = new AbortController();
  const waiting = api.waitUntilRunning('id', { signal: aborter.signal });
  setTimeout(() => aborter.abort(reason), 30);
  await assert.rejects(waiting, reason);
  const before = asked.length;
  await assert.rejects(api.waitUntilRunning('id', { signal: AbortSignal.abort(reason) }), reason);
  assert.equal(asked.length, before);
});
