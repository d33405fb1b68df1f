/** What a channel sends in one turn leaves in one write, whole and in order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { socketOf } from '../../src/amqp/connection.ts';
import { batchWrites } from '../../src/amqp/write-batching.ts';
import { brokerUrl } from '../broker.ts';
import { inbox, newQueueName, rawChannel } from './amqp-serving.ts';

test('frames of a turn are one write; long bodies among them arrive whole, and all in order', async (t) => {
  const { model, channel } = await rawChannel(t, await brokerUrl());
  batchWrites(model, channel);
  const queue = newQueueName();
  await channel.assertQueue(queue, { exclusive: true });
  const arrived = await inbox(channel, queue);
  const socket = socketOf(model);
  assert.ok(socket);
  const write = t.mock.method(socket, 'write');
  for (let n = 0; n < 50; n++) channel.sendToQueue(queue, Buffer.from(`short ${n}`));
  for (let n = 0; n < 50; n++)
    assert.equal((await arrived.next()).content.toString(), `short ${n}`, 'each is there');
  // Fails, too, where a release of amqplib keeps its streams elsewhere and goes its own way again.
  assert.equal(write.mock.callCount(), 1);

  const bodies = [3, 20_000, 5, 700_000, 16_384, 0, 16_385, 40_000, 7, 300_000, 9].map((bytes, n) =>
    Buffer.alloc(bytes, n),
  );
  for (const body of bodies) channel.sendToQueue(queue, body);
  for (const body of bodies) assert.ok(body.equals((await arrived.next()).content), `${body.length} bytes`);
  await channel.deleteQueue(queue);
});

test('a channel that is closed sends what was handed to it before, and another takes its number', async (t) => {
  const { model, channel } = await rawChannel(t, await brokerUrl());
  const queue = newQueueName();
  await channel.assertQueue(queue, { exclusive: true });
  for (let round = 0; round < 3; round++) {
    const sender = await model.createChannel();
    batchWrites(model, sender);
    sender.sendToQueue(queue, Buffer.from(String(round)));
    await sender.close();
    assert.throws(() => sender.sendToQueue(queue, Buffer.from('late')), /closed/i);
  }
  const arrived = await inbox(channel, queue);
  for (let round = 0; round < 3; round++)
    assert.equal((await arrived.next()).content.toString(), String(round));
});
