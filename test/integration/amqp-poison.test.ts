/** Row "poison" of docs on AMQP RPC: what kills its runner, or our connections, is not looped. Against a real broker. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { failure, type Outcome } from '../../src/protocol/outcome.ts';
import { LambdaError } from '../../src/client/rpc.ts';
import {
  client,
  echo,
  inbox,
  json,
  newQueueName,
  rawCall,
  rawChannel,
  ready,
  serving,
  until,
} from './amqp-serving.ts';

const lost = (): Outcome => failure('runner_lost', 'the runner of the account died');
const textOf = (body: Uint8Array): string => Buffer.from(body).toString();

test('poison: a message that kills its runner twice is dead-lettered, its caller told, the next one served', async (t) => {
  const runs: boolean[] = [];
  const deadLetter = newQueueName();
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    deadLetter,
    serve: async (request) => {
      if (textOf(request.body) !== 'poison') return echo(request);
      runs.push(request.head.redelivered);
      return lost();
    },
  });
  const reply = await rawCall(t, url, queue, Buffer.from('poison'), { messageId: 'p' });
  assert.match(reply.content.toString(), /"errorType":"runner_lost"/);
  // The second try is marked: the first may have left something behind.
  assert.deepEqual(runs, [false, true]);
  const { channel } = await rawChannel(t, url);
  const buried = await (await inbox(channel, deadLetter)).next();
  assert.equal(buried.content.toString(), 'poison');
  assert.equal(service.stats().deadLettered, 1);
  assert.equal(await client(t, url).call(queue, 'next'), 'next');
});

test('poison: without a dead-letter queue it is rejected, and does not come back', async (t) => {
  let runs = 0;
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    serve: async () => {
      runs++;
      return lost();
    },
  });
  const { channel } = await rawChannel(t, url);
  channel.sendToQueue(queue, Buffer.from('poison'));
  await until('it is rejected', () => service.stats().deadLettered === 1);
  await service.stop(1_000);
  assert.equal(runs, 2);
  assert.equal(await ready(url, queue), 0);
});

test('poison: what merely ran beside a culprit is run again and answered; the culprit alone is dead-lettered', async (t) => {
  const culprit = Promise.withResolvers<void>();
  let present = 0;
  let died = false;
  const { url, queue, service } = await serving(t, {
    concurrency: 20,
    serve: async (request) => {
      const isCulprit = textOf(request.body) === '"culprit"';
      if (!died) {
        // All share one runner; when the twentieth is there, the culprit takes it down.
        if (++present === 20) {
          died = true;
          culprit.resolve();
        }
        await culprit.promise;
        return lost();
      }
      await new Promise(setImmediate);
      return isCulprit ? lost() : echo(request);
    },
  });
  const rpc = client(t, url);
  const calls = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => rpc.call(queue, i === 7 ? 'culprit' : i)),
  );
  calls.forEach((call, i) => {
    if (i === 7)
      assert.ok(call.status === 'rejected' && call.reason instanceof LambdaError, 'the culprit fails');
    else assert.deepEqual(call, { status: 'fulfilled', value: i });
  });
  await until('the culprit is settled', () => service.stats().deadLettered === 1);
});

test('poison: 200 in flight when their runner dies: each is retried once and answered, none lost', async (t) => {
  const all = Promise.withResolvers<void>();
  const tries = new Map<string, number>();
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    concurrency: 200,
    serve: async (request) => {
      const text = textOf(request.body);
      const before = tries.get(text) ?? 0;
      tries.set(text, before + 1);
      if (before > 0) return echo(request);
      if (tries.size === 200) all.resolve();
      await all.promise;
      return lost();
    },
  });
  const rpc = client(t, url);
  const replies = await Promise.all(Array.from({ length: 200 }, (_, i) => rpc.call(queue, i)));
  assert.deepEqual(
    replies,
    Array.from({ length: 200 }, (_, i) => i),
  );
  assert.ok([...tries.values()].every((count) => count === 2));
  await service.stop(1_000);
  assert.equal(await ready(url, queue), 0);
});

test('poison: a neighbour whose isolate was lost through another is retried, and never dead-lettered', async (t) => {
  let runs = 0;
  const { url, queue, service } = await serving(t, {
    serve: async () => {
      runs++;
      return failure('isolate_lost', 'another request broke a limit');
    },
  });
  const reply = await rawCall(t, url, queue, Buffer.from('x'));
  assert.match(reply.content.toString(), /"errorType":"isolate_lost"/);
  assert.equal(runs, 2);
  assert.equal(service.stats().deadLettered, 0);
});

test('poison: a quorum queue counts deliveries, and past the limit a message is dead-lettered unrun', async (t) => {
  const deadLetter = newQueueName();
  const { url, queue, service } = await serving(t, { kind: 'quorum', deadLetter, maxDeliveries: 2 });
  await service.stop(0);
  const { channel } = await rawChannel(t, url);
  channel.sendToQueue(queue, Buffer.from('again and again'), { persistent: true });
  for (let deliveries = 0; deliveries < 3;) {
    const message = await channel.get(queue, { noAck: false });
    if (message === false) {
      await sleep(5);
      continue;
    }
    deliveries++;
    channel.nack(message, false, true);
  }
  let runs = 0;
  const second = await serving(t, {
    kind: 'quorum',
    queue,
    deadLetter,
    maxDeliveries: 2,
    serve: async () => {
      runs++;
      return json(null);
    },
  });
  await until('it is dead-lettered', () => second.service.stats().deadLettered === 1);
  assert.equal(runs, 0);
  assert.equal((await (await inbox(channel, deadLetter)).next()).content.toString(), 'again and again');
});

test('poison: headers that no library can read are taken off the queue, and what lies behind them is served', async (t) => {
  const { url, queue, service } = await serving(t, { kind: 'durable' });
  // amqplib nests a table's values on the stack: only a process with a larger one can write such a message.
  const sender = spawn(
    process.execPath,
    [
      '--stack-size=30000',
      '--input-type=module',
      '-e',
      `import { connect } from 'amqplib';
       const model = await connect(process.argv[1]);
       const channel = await model.createConfirmChannel();
       let deep = [];
       for (let i = 0; i < 9000; i++) deep = [deep];
       for (const headers of [{}, { deep }, {}, { deep }, {}])
         channel.sendToQueue(process.argv[2], Buffer.from('x'), { headers, persistent: true });
       await channel.waitForConfirms();
       await model.close();`,
      url,
      queue,
    ],
    { stdio: 'inherit', cwd: import.meta.dirname },
  );
  assert.deepEqual(await once(sender, 'exit'), [0, null]);
  await until('both are gone', () => service.stats().undecodable === 2);
  await until(
    'the others ran',
    async () => (await ready(url, queue)) === 0 && service.stats().unanswered >= 3,
  );
  assert.equal(await client(t, url).call(queue, 'alive'), 'alive');
});

test("poison: a forged user_id closes the forger's channel, not ours", async (t) => {
  const { url, queue, service } = await serving(t);
  const { channel } = await rawChannel(t, url);
  const closed = once(channel, 'error');
  channel.sendToQueue(queue, Buffer.from('x'), { userId: 'somebody-else', replyTo: 'amq.rabbitmq.reply-to' });
  assert.match(String((await closed)[0]), /user_id|406/);
  assert.equal(await client(t, url).call(queue, 'x'), 'x');
  assert.equal(service.stats().reconnects, 0);
});
