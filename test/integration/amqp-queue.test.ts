/** Rows of docs on AMQP RPC about the queue: its kinds, prefetch and concurrency, refusals. Against a real broker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'amqplib';
import { QueueService } from '../../src/gateway/amqp/service.ts';
import type { ServeRequest } from '../../src/gateway/amqp/types.ts';
import { brokerUrl } from '../broker.ts';
import {
  client,
  deleteQueues,
  echo,
  json,
  newQueueName,
  rawChannel,
  ready,
  serving,
  until,
} from './amqp-serving.ts';

test('queue: by default not durable, not exclusive, and gone with its last consumer', async (t) => {
  const { url, queue, service } = await serving(t);
  const { channel } = await rawChannel(t, url);
  // The same declaration is the only one that the broker accepts for an existing queue.
  const { consumerCount } = await channel.assertQueue(queue, {
    durable: false,
    autoDelete: true,
    exclusive: false,
  });
  assert.equal(consumerCount, 1);
  await service.stop(0);
  const second = await rawChannel(t, url);
  second.channel.on('error', () => undefined);
  await assert.rejects(second.channel.checkQueue(queue), /404/);
});

test('queue: --durable outlives its consumers, with its messages', async (t) => {
  const { url, queue, service } = await serving(t, { kind: 'durable' });
  await service.stop(0);
  const { channel } = await rawChannel(t, url);
  await channel.assertQueue(queue, { durable: true, autoDelete: false });
  channel.sendToQueue(queue, Buffer.from('1'), { persistent: true });
  await until('the message is in the queue', async () => (await ready(url, queue)) === 1);
  const bodies: string[] = [];
  await serving(t, {
    kind: 'durable',
    queue,
    serve: async ({ body }) => {
      bodies.push(Buffer.from(body).toString());
      return json(null);
    },
  });
  await until('it is served', () => bodies.length === 1);
  assert.deepEqual(bodies, ['1']);
});

test('queue: --quorum declares a quorum queue and serves it', async (t) => {
  const { url, queue } = await serving(t, { kind: 'quorum' });
  const { channel } = await rawChannel(t, url);
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  assert.deepEqual(await client(t, url).call(queue, { a: 1 }), { a: 1 });
});

test('queue: --passive takes an existing queue as it is', async (t) => {
  const url = await brokerUrl();
  const queue = newQueueName();
  const { channel } = await rawChannel(t, url);
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-max-length': 7 } });
  await serving(t, { kind: 'passive', queue });
  assert.equal(await client(t, url).call(queue, 'hello'), 'hello');
});

test('queue: --passive on a queue that is not there fails at once, and says what to do', async (t) => {
  const url = await brokerUrl();
  const service = new QueueService({ url, queue: { name: newQueueName(), kind: 'passive' }, serve: echo });
  t.after(() => service.stop(0));
  await assert.rejects(service.start(), (error: Error) => {
    assert.match(error.message, /404.*declare it first, or leave --passive out/s);
    return true;
  });
  assert.equal(service.state, 'failed');
});

test('queue: one that exists with other properties is refused at once, and the message says how to serve it', async (t) => {
  const url = await brokerUrl();
  const queue = newQueueName();
  const { channel } = await rawChannel(t, url);
  await channel.assertQueue(queue, { durable: true });
  t.after(() => deleteQueues(url, [queue]));
  const service = new QueueService({ url, queue: { name: queue, kind: 'transient' }, serve: echo });
  t.after(() => service.stop(0));
  await assert.rejects(service.start(), /406.*--passive, or delete it/s);
});

test('queue: wrong credentials fail at once, without the password in the message', async (t) => {
  const url = new URL(await brokerUrl());
  url.password = 'not-the-password';
  const service = new QueueService({
    url: url.href,
    queue: { name: newQueueName(), kind: 'transient' },
    serve: echo,
  });
  t.after(() => service.stop(0));
  await assert.rejects(service.start(), (error: Error) => {
    assert.match(error.message, /ACCESS.REFUSED/);
    assert.doesNotMatch(error.message, /not-the-password/);
    return true;
  });
});

test("queue: names that are the broker's own, empty, too long or with control characters are refused", async () => {
  const url = await brokerUrl();
  for (const name of ['', 'amq.mine', 'x'.repeat(256), 'line\nbreak'])
    assert.throws(
      () => new QueueService({ url, queue: { name, kind: 'transient' }, serve: echo }),
      /queue name/,
    );
});

test('prefetch: --concurrency 1 runs one message at a time, in order', async (t) => {
  let running = 0;
  let most = 0;
  const seen: number[] = [];
  const { url, queue } = await serving(t, {
    concurrency: 1,
    serve: async ({ body }: ServeRequest) => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      seen.push(Number(Buffer.from(body).toString()));
      running--;
      return json(null);
    },
  });
  const rpc = client(t, url);
  await Promise.all(Array.from({ length: 50 }, (_, i) => rpc.call(queue, i)));
  assert.equal(most, 1);
  assert.deepEqual(
    seen,
    Array.from({ length: 50 }, (_, i) => i),
  );
});

test('prefetch: no more handlers run than --concurrency, and a small multiple of it is in hand', async (t) => {
  const gate = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  const { url, queue, service } = await serving(t, {
    concurrency: 5,
    serve: async () => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
      return json(null);
    },
  });
  const rpc = client(t, url);
  const calls = Array.from({ length: 60 }, (_, i) => rpc.call(queue, i));
  await until('the prefetch is in hand', () => service.stats().received === 20);
  await until('the rest waits in the broker', async () => (await ready(url, queue)) === 40);
  assert.equal(running, 5);
  assert.equal(service.stats().waiting, 15);
  gate.resolve();
  await Promise.all(calls);
  assert.equal(most, 5);
});

test('queue: deleted under its consumer, it is declared and served again', async (t) => {
  const { url, queue, service } = await serving(t);
  const model = await connect(url);
  const channel = await model.createChannel();
  await channel.deleteQueue(queue);
  await model.close();
  await until('the link is back', () => service.stats().reconnects === 1);
  assert.equal(await client(t, url).call(queue, 'again'), 'again');
});
