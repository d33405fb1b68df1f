/** Row "reconnect" of docs on AMQP RPC: closures, a broker that restarts, a network that breaks. Against a real broker. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumeMessage } from 'amqplib';
import { ConnectionLost, RpcError, type RpcClient } from '../../src/client/rpc.ts';
import { QueueService } from '../../src/gateway/amqp/service.ts';
import type { ServeRequest } from '../../src/gateway/amqp/types.ts';
import type { Outcome } from '../../src/protocol/outcome.ts';
import { brokerUrl, startBroker, type OwnBroker } from '../broker.ts';
import { brokerProxy } from './amqp-proxy.ts';
import {
  client,
  echo,
  json,
  newQueueName,
  rawChannel,
  ready,
  serving,
  until,
  WAIT_MS,
} from './amqp-serving.ts';

/** Class and method, as a method's frame begins. */
const BASIC_QOS = 0x003c_000a;
/** One that may be closed, commanded and restarted without harm to other test files. */
let ownBroker: Promise<OwnBroker> | undefined;

/** Leaves the two cores to the broker, which has to come back on them. */
const unhurried = (request: ServeRequest): Promise<Outcome> => sleep(20).then(() => echo(request));

interface Calling {
  /** Ends the calling; returns how each call ended. */
  stop(): Promise<{ replies: number; errors: readonly unknown[] }>;
}

/** Calls in a row, so many at once, until it is stopped, at the latest with the test. */
function keepCalling(t: TestContext, rpc: RpcClient, queue: string, inFlight: number): Calling {
  let next = 0;
  let replies = 0;
  let over = false;
  const errors: unknown[] = [];
  t.after(() => (over = true));
  const lanes = Array.from({ length: inFlight }, async () => {
    while (!over && errors.length < 1_000) {
      const n = next++;
      try {
        assert.equal(await rpc.call(queue, n, { timeoutMs: WAIT_MS }), n);
        replies++;
      } catch (error) {
        errors.push(error);
      }
    }
  });
  return {
    stop: async () => {
      over = true;
      await Promise.all(lanes);
      assert.equal(replies + errors.length, next, 'every call ended once');
      return { replies, errors };
    },
  };
}

test('reconnect: through 20 forced closures every call gets one reply or a typed error, and nothing stays unacknowledged', async (t) => {
  const broker = await (ownBroker ??= startBroker());
  const { queue, service } = await serving(t, {
    url: broker.url,
    kind: 'durable',
    name: 'served',
    serve: unhurried,
  });
  const rpc = client(t, broker.url);
  const calling = keepCalling(t, rpc, queue, 50);
  for (let closures = 0; closures < 20; closures += 2) {
    const before = service.stats();
    assert.equal(await broker.closeConnections('served'), 2);
    await until('both links are back', () => service.stats().reconnects === before.reconnects + 2);
    await until('it serves again', () => service.stats().replied > before.replied);
  }
  const { replies, errors } = await calling.stop();
  // The client's own connection was left alone, and the queue outlives its consumers: nothing may fail.
  assert.deepEqual(errors, []);
  assert.ok(replies > 0);
  await until('nothing is left', () => service.stats().running + service.stats().unconfirmed === 0);
  const [row] = (
    await broker.ctl('list_queues', 'name', 'messages_ready', 'messages_unacknowledged', '--no-table-headers')
  )
    .split('\n')
    .filter((line) => line.startsWith(queue));
  assert.equal(row, `${queue}\t0\t0`);
});

test('reconnect: a restart of the broker in the middle of calls on a durable queue', async (t) => {
  const broker = await (ownBroker ??= startBroker());
  const { queue, service } = await serving(t, { url: broker.url, kind: 'durable', serve: unhurried });
  const rpc = client(t, broker.url);
  const calling = keepCalling(t, rpc, queue, 50);
  await until('calls are answered', () => service.stats().replied > 200);
  await broker.restart();
  const { replied } = service.stats();
  await until('it serves again', () => service.stats().replied > replied + 200);
  const { replies, errors } = await calling.stop();
  assert.ok(replies >= 400);
  // The restart also cut the client off: what was under way then has a typed error.
  for (const error of errors) assert.ok(error instanceof ConnectionLost, String(error));
  assert.ok(errors.length <= 50);
  assert.equal(service.state, 'serving');
});

test('reconnect: a handler that runs while the connection is lost still answers, and the redelivery joins it', async (t) => {
  const url = await brokerUrl();
  const proxy = await brokerProxy(t, url);
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const { queue, service } = await serving(t, {
    url: proxy.url,
    brokerUrl: url,
    kind: 'durable',
    serve: async (request) => {
      runs++;
      await gate.promise;
      return echo(request);
    },
  });
  const call = client(t, url).call(queue, 'once');
  await until('it runs', () => service.stats().running === 1);
  proxy.cut();
  await until('the message was delivered again', () => service.stats().redelivered === 1);
  gate.resolve();
  assert.equal(await call, 'once');
  assert.equal(runs, 1);
  await service.stop(1_000);
  assert.equal(await ready(url, queue), 0);
});

test('reconnect: replies that are ready while the broker is away are sent when it is back', async (t) => {
  const url = await brokerUrl();
  const proxy = await brokerProxy(t, url);
  const gate = Promise.withResolvers<void>();
  const { queue, service } = await serving(t, {
    url: proxy.url,
    brokerUrl: url,
    kind: 'durable',
    serve: async (request) => {
      await gate.promise;
      return echo(request);
    },
  });
  const rpc = client(t, url);
  const calls = Array.from({ length: 20 }, (_, i) => rpc.call(queue, i));
  await until('all run', () => service.stats().running === 20);
  proxy.lock();
  gate.resolve();
  await until('the replies wait', () => service.stats().unconfirmed === 20);
  proxy.admit();
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test('reconnect: replies that the broker was not known to have are sent again, their requests not acknowledged before', async (t) => {
  const url = await brokerUrl();
  // The request whose answer would prove it: basic.qos without a limit. The broker closes over the first.
  const isProof = (method: Buffer): boolean =>
    method.readUInt32BE(0) === BASIC_QOS && method.readUInt16BE(8) === 0;
  let left = 1;
  const refusal = {
    when: (method: Buffer) => isProof(method) && left-- > 0,
    code: 320,
    text: 'CONNECTION_FORCED',
  };
  const proxy = await brokerProxy(t, url, refusal);
  const { queue, service } = await serving(t, { url: proxy.url, brokerUrl: url, kind: 'durable' });
  const { channel } = await rawChannel(t, url);
  const replies: string[] = [];
  const onReply = (reply: ConsumeMessage | null): void => void replies.push(String(reply?.content));
  await channel.consume('amq.rabbitmq.reply-to', onReply, { noAck: true });
  const sent = Array.from({ length: 10 }, (_, n) => `request ${n}`);
  for (const request of sent)
    channel.sendToQueue(queue, Buffer.from(request), { replyTo: 'amq.rabbitmq.reply-to' });
  await until('the broker is known to have all', () => service.stats().replied === sent.length);
  await until('all have come', () => new Set(replies).size === sent.length);
  assert.equal(proxy.refused, 1);
  assert.ok(replies.length > sent.length, 'what was lost with the first connection came twice');
  await service.stop(1_000);
  assert.equal(await ready(url, queue), 0);
});

test('reconnect: gives up only after connection_attempts, and says so', async (t) => {
  const url = await brokerUrl();
  const proxy = await brokerProxy(t, url);
  const failed = Promise.withResolvers<Error>();
  const { service } = await serving(t, {
    url: `${proxy.url}?connection_attempts=3&retry_delay=0.05`,
    onFailed: failed.resolve,
  });
  proxy.lock();
  assert.match((await failed.promise).message, /3 failed attempts/);
  assert.equal(service.state, 'failed');
});

test('reconnect: a broker that is not there yet is waited for, within connection_attempts', async (t) => {
  const url = await brokerUrl();
  const proxy = await brokerProxy(t, url);
  proxy.lock();
  const never = new QueueService({
    url: `${proxy.url}?connection_attempts=2&retry_delay=0.01`,
    queue: { name: newQueueName(), kind: 'transient' },
    serve: echo,
  });
  await assert.rejects(never.start(), /2 failed attempts/);
  const queue = { name: newQueueName(), kind: 'transient' } as const;
  const service = new QueueService({
    url: `${proxy.url}?connection_attempts=1000&retry_delay=0.05`,
    queue,
    serve: echo,
  });
  t.after(() => service.stop(0));
  const started = service.start();
  proxy.admit();
  await started;
  assert.equal(await client(t, url).call(queue.name, 1), 1);
});

test('reconnect: a stop while the broker is away ends', async (t) => {
  const url = await brokerUrl();
  const proxy = await brokerProxy(t, url);
  const { service } = await serving(t, { url: proxy.url });
  proxy.lock();
  await until('it is away', () => proxy.open === 0);
  await service.stop(100);
  assert.equal(service.state, 'stopped');
});

test('queue: a broker that refuses transient queues (RabbitMQ 4.3) gets a durable one that expires', async (t) => {
  const url = await brokerUrl();
  const queue = newQueueName();
  const proxy = await brokerProxy(t, url, {
    // queue.declare, with the durable bit off. The bits follow class, method, ticket and the name.
    when: (method) =>
      method.readUInt32BE(0) === ((50 << 16) | 10) && ((method[7 + (method[6] ?? 0)] ?? 0) & 0b10) === 0,
    code: 541,
    text: 'INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\nIts use is not permitted by default.',
  });
  const { service } = await serving(t, { url: proxy.url, queue });
  assert.equal(proxy.refused, 1);
  const { channel } = await rawChannel(t, url);
  await channel.assertQueue(queue, { durable: true, autoDelete: false, expires: 60_000 });
  assert.equal(await client(t, url).call(queue, 'served'), 'served');
  await service.stop(0);
  await channel.deleteQueue(queue);
});

test('reply: one that the broker refuses by closing the channel costs its own caller an error, and nobody else anything', async (t) => {
  const url = await brokerUrl();
  // As RabbitMQ 4 does with a reply above its max_message_size. basic.publish, whose routing key ends the name.
  const victim = 'refused-by-the-broker';
  const proxy = await brokerProxy(t, url, {
    when: (method) => method.readUInt32BE(0) === ((60 << 16) | 40) && method.includes(victim),
    code: 506,
    text: 'RESOURCE_ERROR - message size is larger than configured',
  });
  const { queue, service } = await serving(t, {
    url: proxy.url,
    brokerUrl: url,
    kind: 'durable',
    concurrency: 50,
  });
  const rpc = client(t, url);
  const calls = Array.from({ length: 50 }, (_, i) => rpc.call(queue, i));
  const { channel } = await rawChannel(t, url);
  channel.sendToQueue(queue, Buffer.from('x'), { replyTo: victim });
  assert.deepEqual(
    await Promise.all(calls),
    Array.from({ length: 50 }, (_, i) => i),
  );
  await until('the refused one is given up', () => service.stats().undeliverable === 1);
  assert.equal(await rpc.call(queue, 'next'), 'next');
  await service.stop(1_000);
  assert.equal(await ready(url, queue), 0);
});

test('client: a call in flight when the connection breaks fails as ConnectionLost; the next call works', async (t) => {
  const url = await brokerUrl();
  const proxy = await brokerProxy(t, url);
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const { queue } = await serving(t, {
    serve: async () => {
      if (runs++ === 0) await gate.promise;
      return json('done');
    },
  });
  const rpc = client(t, proxy.url);
  const first = rpc.call(queue, 1);
  await until('it runs', () => runs === 1);
  proxy.cut();
  await assert.rejects(
    first,
    (error: unknown) => error instanceof ConnectionLost && error instanceof RpcError,
  );
  assert.equal(await rpc.call(queue, 2), 'done');
  gate.resolve();
});

test('client: calls without a broker wait for it, and fail as ConnectionLost when it is given up', async (t) => {
  const url = await brokerUrl();
  const proxy = await brokerProxy(t, url);
  const { queue } = await serving(t);
  proxy.lock();
  const patient = client(t, `${proxy.url}?connection_attempts=1000&retry_delay=0.05`);
  const call = patient.call(queue, 'later');
  const hasty = client(t, `${proxy.url}?connection_attempts=2&retry_delay=0.01`);
  await assert.rejects(hasty.call(queue, 1), ConnectionLost);
  proxy.admit();
  assert.equal(await call, 'later');
  assert.equal(await hasty.call(queue, 2), 2, 'a new call tries anew');
});
