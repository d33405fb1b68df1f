/** Rows "SIGTERM" and "acknowledge" of docs on AMQP RPC. Against a real broker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LambdaError } from '../../src/client/rpc.ts';
import { failure } from '../../src/protocol/outcome.ts';
import { client, echo, json, rawChannel, ready, serving, until } from './amqp-serving.ts';

test('stop: 200 slow calls in flight are all finished and replied', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    concurrency: 200,
    serve: async (request) => {
      await gate.promise;
      return echo(request);
    },
  });
  const rpc = client(t, url);
  const calls = Array.from({ length: 200 }, (_, i) => rpc.call(queue, i));
  await until('all run', () => service.stats().running === 200);
  const stopped = service.stop(10_000);
  assert.equal(service.state, 'draining');
  gate.resolve();
  await stopped;
  assert.equal(service.state, 'stopped');
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 200 }, (_, i) => i),
  );
  assert.equal(await ready(url, queue), 0);
});

test('stop: what has not begun goes back to a queue that lives, for the next to serve', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    concurrency: 1,
    prefetch: 10,
    serve: async (request) => {
      await gate.promise;
      return echo(request);
    },
  });
  const rpc = client(t, url);
  const calls = Array.from({ length: 20 }, (_, i) => rpc.call(queue, i));
  await until('the prefetch is in hand', () => service.stats().received === 10);
  const stopped = service.stop(10_000);
  await until('the rest is back', async () => (await ready(url, queue)) === 19);
  gate.resolve();
  await stopped;
  assert.equal(await calls[0], 0);
  await serving(t, { kind: 'durable', queue });
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test('stop: a queue that dies with its last consumer is emptied, and each caller told to send again', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { url, queue, service } = await serving(t, {
    concurrency: 1,
    prefetch: 5,
    serve: async (request) => {
      await gate.promise;
      return echo(request);
    },
  });
  const rpc = client(t, url);
  const calls = Array.from({ length: 20 }, (_, i) => rpc.call(queue, i));
  await until('the prefetch is in hand', () => service.stats().received === 5);
  const settled = Promise.allSettled(calls);
  const stopped = service.stop(10_000);
  await until('the waiting ones are answered', () => service.stats().replied >= 19);
  gate.resolve();
  await stopped;
  const [first, ...rest] = await settled;
  assert.deepEqual(first, { status: 'fulfilled', value: 0 });
  for (const call of rest)
    assert.ok(
      call.status === 'rejected' &&
        call.reason instanceof LambdaError &&
        call.reason.errorType === 'draining',
    );
});

test('stop: with another consumer on the queue, what has not begun goes to that one', async (t) => {
  const gate = Promise.withResolvers<void>();
  const first = await serving(t, {
    concurrency: 1,
    prefetch: 5,
    serve: async (request) => {
      await gate.promise;
      return echo(request);
    },
  });
  const rpc = client(t, first.url);
  const calls = Array.from({ length: 5 }, (_, i) => rpc.call(first.queue, i));
  await until('all are in hand', () => first.service.stats().received === 5);
  const second = await serving(t, { queue: first.queue });
  const stopped = first.service.stop(10_000);
  await until('the second has served the rest', () => second.service.stats().replied === 4);
  gate.resolve();
  await stopped;
  assert.deepEqual(await Promise.all(calls), [0, 1, 2, 3, 4]);
});

test('stop: after the grace time what still runs is told by its signal, and goes back to the queue', async (t) => {
  let aborted = 0;
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    serve: (request) => {
      request.signal.addEventListener('abort', () => aborted++);
      return new Promise(() => undefined);
    },
  });
  const { channel } = await rawChannel(t, url);
  for (let i = 0; i < 3; i++) channel.sendToQueue(queue, Buffer.from('stuck'));
  await until('they run', () => service.stats().running === 3);
  await service.stop(50);
  assert.equal(aborted, 3);
  assert.equal(await ready(url, queue), 3);
});

test('stop: an outcome "draining" of the pool gives the message back', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    serve: async () => {
      await gate.promise;
      return failure('draining', 'the pool is closing');
    },
  });
  const { channel } = await rawChannel(t, url);
  channel.sendToQueue(queue, Buffer.from('x'));
  await until('it runs', () => service.stats().running === 1);
  const stopped = service.stop(10_000);
  gate.resolve();
  await stopped;
  assert.equal(await ready(url, queue), 1);
});

test('stop: idempotent, and fine before a start', async (t) => {
  const { service } = await serving(t);
  await Promise.all([service.stop(100), service.stop(100)]);
  await service.stop(0);
  assert.equal(service.state, 'stopped');
});

test('acknowledge: nothing is left unacknowledged, whatever the order of the replies', async (t) => {
  const gates = new Map<number, () => void>();
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    concurrency: 100,
    serve: async ({ body }) => {
      const n = Number(Buffer.from(body).toString());
      await new Promise<void>((resolve) => gates.set(n, resolve));
      return json(n);
    },
  });
  const rpc = client(t, url);
  const calls = Array.from({ length: 100 }, (_, i) => rpc.call(queue, i));
  await until('all run', () => gates.size === 100);
  for (const n of [...gates.keys()].sort((a, b) => ((a * 37) % 100) - ((b * 37) % 100))) {
    gates.get(n)?.();
    if (n % 3 === 0) await new Promise(setImmediate);
  }
  await Promise.all(calls);
  await until('each reply is confirmed', () => service.stats().replied === 100);
  await service.stop(1_000);
  assert.equal(await ready(url, queue), 0);
});
