/** RpcClient against a real broker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConnectionLost,
  InvalidReply,
  InvalidRequest,
  LambdaError,
  RpcClient,
  Timeout,
  Unroutable,
} from '../../src/client/rpc.ts';
import type { ServeRequest } from '../../src/gateway/amqp/types.ts';
import { failure } from '../../src/protocol/outcome.ts';
import { brokerUrl } from '../broker.ts';
import {
  client,
  deleteQueues,
  echo,
  json,
  newQueueName,
  rawChannel,
  serving,
  until,
  WAIT_MS,
} from './amqp-serving.ts';

test('payloads: bytes come back as bytes, all JSON values as themselves', async (t) => {
  const { url, queue } = await serving(t);
  const rpc = client(t, url);
  for (const value of [
    null,
    0,
    -1.5,
    true,
    false,
    '',
    'text with "quotes"\n',
    [],
    {},
    { a: [1, { b: null }] },
  ])
    assert.deepEqual(await rpc.call(queue, value), value);
  assert.deepEqual(await rpc.call(queue, Buffer.from([0, 255])), Buffer.from([0, 255]));
  assert.deepEqual(await rpc.call(queue, new Uint8Array([1, 2]).subarray(1)), Buffer.from([2]));
  assert.deepEqual(await rpc.call(queue, Buffer.alloc(0)), Buffer.alloc(0));
});

test('payloads: content type and headers are sent as given', async (t) => {
  const heads: ServeRequest['head'][] = [];
  const { url, queue } = await serving(t, {
    serve: (request) => {
      heads.push(request.head);
      return echo(request);
    },
  });
  const rpc = client(t, url);
  const reply = await rpc.request(queue, 'as it is', { contentType: 'text/plain', headers: { tenant: 'a' } });
  assert.equal(reply.body.toString(), 'as it is');
  assert.equal(reply.contentType, 'text/plain');
  assert.equal(heads[0]?.contentType, 'text/plain');
  assert.deepEqual({ ...heads[0]?.headers }, { tenant: 'a' });
});

test('payloads: what cannot be sent is refused before it is sent', async (t) => {
  const rpc = client(t, await brokerUrl());
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  for (const payload of [undefined, () => 1, cycle, 1n])
    await assert.rejects(rpc.call('q', payload), InvalidRequest);
  await assert.rejects(rpc.call('', 1), InvalidRequest);
  await assert.rejects(rpc.call('x'.repeat(256), 1), InvalidRequest);
  await assert.rejects(rpc.call('q', 1, { timeoutMs: 0 }), InvalidRequest);
  await assert.rejects(rpc.call('q', 1, { timeoutMs: Number.NaN }), InvalidRequest);
  await assert.rejects(rpc.call('q', 1, { headers: { big: 'x'.repeat(100_000) } }), InvalidRequest);
});

test('Unroutable: at once, when nothing serves the queue', async (t) => {
  const rpc = client(t, await brokerUrl());
  const queue = newQueueName();
  await assert.rejects(rpc.call(queue, 1, { timeoutMs: 60_000 }), (error: unknown) => {
    assert.ok(error instanceof Unroutable);
    assert.equal(error.code, 'unroutable');
    assert.equal(error.queue, queue);
    return true;
  });
});

test('Timeout: after timeoutMs, and a reply that comes later harms nobody', async (t) => {
  const gates: (() => void)[] = [];
  const { url, queue, service } = await serving(t, {
    serve: async (request) => {
      if (gates.length === 0) await new Promise<void>((resolve) => gates.push(resolve));
      return echo(request);
    },
  });
  const rpc = client(t, url);
  await assert.rejects(rpc.call(queue, 'slow', { timeoutMs: 1_000 }), (error: unknown) => {
    assert.ok(error instanceof Timeout);
    assert.equal(error.timeoutMs, 1_000);
    return true;
  });
  gates[0]?.();
  await until('the late reply is out', () => service.stats().replied === 1);
  assert.equal(await rpc.call(queue, 'next'), 'next');
});

test('LambdaError: type, message, request id, stack and whether it was handled', async (t) => {
  const { url, queue } = await serving(t, {
    serve: async ({ body, head }) =>
      Buffer.from(body).toString() === '"refuse"'
        ? failure('user_exception', `no: ${head.requestId}`, { type: 'ImageCount', status: 400 })
        : failure('exception', 'broke', { type: 'TypeError', stack: 'TypeError: broke\n    at main.ts:1:1' }),
  });
  const rpc = client(t, url);
  await assert.rejects(rpc.call(queue, 'refuse'), (error: unknown) => {
    assert.ok(error instanceof LambdaError);
    assert.equal(error.handled, true);
    assert.equal(error.errorType, 'ImageCount');
    assert.equal(error.errorMessage, `no: ${error.requestId}`);
    assert.equal(error.stackTrace, undefined);
    return true;
  });
  await assert.rejects(rpc.call(queue, 'break'), (error: unknown) => {
    assert.ok(error instanceof LambdaError);
    assert.equal(error.handled, false);
    assert.equal(error.message, 'TypeError: broke');
    assert.deepEqual(error.stackTrace, ['TypeError: broke', '    at main.ts:1:1']);
    return true;
  });
});

test('InvalidReply: a reply that calls itself JSON and is not', async (t) => {
  const { url, queue } = await serving(t, {
    serve: async () => ({
      kind: 'reply',
      status: 200,
      headers: ['content-type', 'application/json'],
      body: Buffer.from('{'),
    }),
  });
  await assert.rejects(client(t, url).call(queue, 1), InvalidReply);
});

test('a request that the broker does not take (nack) is sent again, and Timeout says so where it never is', async (t) => {
  const url = await brokerUrl();
  const { channel } = await rawChannel(t, url);
  const queue = newQueueName();
  await channel.assertQueue(queue, {
    exclusive: false,
    autoDelete: false,
    maxLength: 1,
    overflow: 'reject-publish',
  });
  t.after(() => deleteQueues(url, [queue]));
  channel.sendToQueue(queue, Buffer.from('fills it'));
  await until('it is full', async () => (await channel.checkQueue(queue)).messageCount === 1);
  const rpc = client(t, url);
  await assert.rejects(
    rpc.call(queue, 1, { timeoutMs: 300 }),
    (error) => error instanceof Timeout && /the broker refused the request \d+ times/.test(error.message),
  );
  const kept = rpc.call(queue, 2);
  await rpc.call(newQueueName(), 'behind it').catch(() => undefined);
  await channel.purgeQueue(queue);
  await serving(t, { queue, kind: 'passive' });
  assert.equal(await kept, 2);
});

test('the first calls to a quorum queue that is being declared: no queue yet, or a reply, but never silence', async (t) => {
  const url = await brokerUrl();
  const rpc = client(t, url);
  for (let round = 0; round < 8; round++) {
    const queue = newQueueName();
    let unroutable = 0;
    const firstCall = async (): Promise<unknown> => {
      for (;;)
        try {
          return await rpc.call(queue, round, { timeoutMs: WAIT_MS });
        } catch (error) {
          if (!(error instanceof Unroutable)) throw error;
          unroutable++;
        }
    };
    const first = firstCall();
    await until('calls are under way', () => unroutable > 0);
    await serving(t, { queue, kind: 'quorum' });
    assert.equal(await first, round);
  }
});

test("signal: an aborted call rejects with the signal's reason", async (t) => {
  const { url, queue, service } = await serving(t, { serve: () => new Promise(() => undefined) });
  const rpc = client(t, url);
  const controller = new AbortController();
  const call = rpc.call(queue, 1, { signal: controller.signal });
  await until('it runs', () => service.stats().running === 1);
  const reason = new Error('changed my mind');
  controller.abort(reason);
  await assert.rejects(call, reason);
  await assert.rejects(rpc.call(queue, 1, { signal: AbortSignal.abort(reason) }), reason);
});

test('timeoutMs is the deadline that the lambda is told', async (t) => {
  const { url, queue } = await serving(t, { serve: async ({ head }) => json(head.deadlineMs) });
  const beforeMs = Date.now();
  const deadlineMs = Number(await client(t, url).call(queue, 1, { timeoutMs: 5_000 }));
  assert.ok(deadlineMs > beforeMs && deadlineMs <= Date.now() + 5_000);
  assert.ok(deadlineMs - beforeMs > 4_000);
});

test('close: calls without a reply fail as ConnectionLost, later calls too; idempotent', async (t) => {
  const { url, queue, service } = await serving(t, { serve: () => new Promise(() => undefined) });
  const rpc = client(t, url);
  const call = rpc.call(queue, 1);
  await until('it runs', () => service.stats().running === 1);
  const rejected = assert.rejects(call, ConnectionLost);
  await Promise.all([rpc.close(), rpc.close(), rejected]);
  await assert.rejects(rpc.call(queue, 1), ConnectionLost);
});

test('connect: wrong credentials are an error that says so, without the password', async (t) => {
  const url = new URL(await brokerUrl());
  url.password = 'not-the-password';
  const rpc = new RpcClient({ url: url.href });
  t.after(() => rpc.close());
  await assert.rejects(rpc.connect(), (error: Error) => {
    assert.match(error.message, /ACCESS.REFUSED/);
    assert.doesNotMatch(error.message, /not-the-password/);
    return true;
  });
});

test('thousands of calls at once: each gets its own reply', async (t) => {
  const { url, queue } = await serving(t);
  const rpc = client(t, url);
  const replies = await Promise.all(Array.from({ length: 3_000 }, (_, i) => rpc.call(queue, { i })));
  assert.deepEqual(
    replies,
    Array.from({ length: 3_000 }, (_, i) => ({ i })),
  );
});
