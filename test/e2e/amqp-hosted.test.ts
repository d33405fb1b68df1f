/** Lambdas of a host that are served from queues: whose they are, which limits hold, and what deploying does to them. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { LambdaApiError, type LambdaApi } from '../../src/client/index.ts';
import type { RpcClient } from '../../src/client/rpc.ts';
import { LambdaError, Unroutable } from '../../src/client/rpc.ts';
import { brokerUrl } from '../broker.ts';
import { archiveOf, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import {
  client,
  deleteQueues,
  inbox,
  newQueueName,
  rawChannel,
  ready,
  until,
  WAIT_MS,
} from '../integration/amqp-serving.ts';
import { startRun } from '../run-process.ts';

const ECHO = 'export const lambda_handler = (event: unknown) => event;\n';
const version = (n: number): string =>
  `export async function lambda_handler(event: unknown) {\n  await new Promise((resolve) => setTimeout(resolve, 5));\n  return [${n}, event];\n}\n`;

describe('lambdas of a host, served from queues', { concurrency: 2 }, () => {
  let url: string;
  let host: TestHost;
  let owner: TestAccount;
  before(async () => {
    url = await brokerUrl();
    host = await startTestHost({ flags: { 'amqp-url': url } });
    owner = await host.account();
  });
  after(() => host?.stop());

  const queueOf = async (api: LambdaApi, lambdaId: string): Promise<string> => {
    const { effective_queue: queue } = (await api.getLambda({ lambdaId })).json;
    assert.ok(queue);
    return queue;
  };
  /** The host declares the queue once the lambda runs: until then it leads nowhere. */
  const callOnceServed = async (rpc: RpcClient, queue: string, payload: unknown): Promise<unknown> => {
    let value: unknown;
    await until(`${queue} is served`, async () => {
      try {
        value = await rpc.call(queue, payload);
        return true;
      } catch (error) {
        if (error instanceof Unroutable) return false;
        throw error;
      }
    });
    return value;
  };
  const serve = async (
    t: TestContext,
    source: string,
    amqp: object | true,
    limits: object = {},
    { api }: TestAccount = owner,
  ): Promise<{ lambdaId: string; queue: string; rpc: RpcClient }> => {
    const lambdaId = await deploy(api, source, { lambda_type: 'rpc', amqp }, limits);
    const rpc = client(t, url);
    return { lambdaId, queue: await queueOf(api, lambdaId), rpc };
  };
  const fails = (errorType: string) => (error: unknown) =>
    error instanceof LambdaError && error.errorType === errorType;

  test("the queue carries the account's prefix, wherever its name comes from", async (t) => {
    const { accountId } = owner;
    const given = await serve(t, ECHO, { queue: 'given' });
    assert.equal(given.queue, `${accountId}.given`);
    assert.equal(await callOnceServed(given.rpc, given.queue, 'a'), 'a');
    const exported = await serve(t, `export const QUEUE_NAME = 'exported';\n${ECHO}`, true);
    assert.equal(exported.queue, `${accountId}.exported`);
    assert.equal(await callOnceServed(exported.rpc, exported.queue, 'b'), 'b');
    await assert.rejects(given.rpc.call('given', 1), Unroutable);
    const unserved = await deploy(owner.api, ECHO, { lambda_type: 'rpc' });
    assert.equal((await owner.api.getLambda({ lambdaId: unserved })).json.effective_queue, null);
  });

  test('durable, dead_letter and prefetch: the queues are as asked; concurrency 1 runs one at a time', async (t) => {
    const { accountId } = owner;
    const source = `let running = 0, most = 0;
export async function lambda_handler() {
  most = Math.max(most, ++running);
  await new Promise((resolve) => setTimeout(resolve, 1));
  running--;
  return most;
}
`;
    const { queue, rpc } = await serve(t, source, {
      queue: 'solid',
      durable: true,
      dead_letter: 'dead',
      prefetch: 7,
      concurrency: 1,
    });
    t.after(() => deleteQueues(url, [queue, `${accountId}.dead`]));
    await callOnceServed(rpc, queue, 1);
    assert.deepEqual(
      new Set(await Promise.all(Array.from({ length: 20 }, () => rpc.call(queue, 1)))),
      new Set([1]),
    );
    // The broker closes a channel that declares an existing queue with other properties.
    const { channel } = await rawChannel(t, url);
    await channel.assertQueue(queue, {
      durable: true,
      deadLetterExchange: '',
      deadLetterRoutingKey: `${accountId}.dead`,
    });
    await channel.assertQueue(`${accountId}.dead`, { durable: true });
  });

  test('quorum and passive: a replicated queue; one that must be there, and is served once it is', async (t) => {
    const { accountId } = owner;
    const quorum = await serve(t, ECHO, { queue: 'replicated', quorum: true });
    t.after(() => deleteQueues(url, [quorum.queue]));
    assert.equal(await callOnceServed(quorum.rpc, quorum.queue, 1), 1);
    const { channel } = await rawChannel(t, url);
    await channel.assertQueue(quorum.queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    await channel.assertQueue(`${accountId}.there`, { durable: true });
    t.after(() => deleteQueues(url, [`${accountId}.there`]));
    const passive = await serve(t, ECHO, { queue: 'there', passive: true });
    assert.equal(await passive.rpc.call(passive.queue, 1), 1);
  });

  test('limits hold as over HTTP: rate, time, CPU and size, each an error reply', async (t) => {
    const rate = await serve(t, ECHO, { queue: 'rate' }, { rate_per_s: 1 });
    await callOnceServed(rate.rpc, rate.queue, 1);
    const ends = await Promise.allSettled(Array.from({ length: 20 }, () => rate.rpc.call(rate.queue, 1)));
    assert.ok(ends.some((end) => end.status === 'rejected' && fails('rate_limited')(end.reason)));
    const hungry = await serve(
      t,
      "export async function lambda_handler(event: string) {\n  if (event === 'loop') for (;;);\n  if (event === 'wait') await new Promise(() => {});\n  return event;\n}\n",
      { queue: 'hungry' },
      { timeout_ms: 1_500, cpu_ms: 100, request_bytes: 1_000 },
    );
    await callOnceServed(hungry.rpc, hungry.queue, 'x');
    await assert.rejects(hungry.rpc.call(hungry.queue, 'loop'), fails('cpu_limit'));
    await assert.rejects(hungry.rpc.call(hungry.queue, 'wait'), fails('timeout'));
    await assert.rejects(hungry.rpc.call(hungry.queue, Buffer.alloc(1_001)), fails('request_too_large'));
    assert.equal(await hungry.rpc.call(hungry.queue, 'y'), 'y');
  });

  test("another account is not served from an account's queue, and its queue is no place for replies", async (t) => {
    const other = await host.account();
    const mine = await serve(t, 'export const lambda_handler = () => "mine";\n', {
      queue: 'private',
      dead_letter: 'private-dead',
    });
    t.after(() => deleteQueues(url, [`${owner.accountId}.private-dead`]));
    assert.equal(await callOnceServed(mine.rpc, mine.queue, 1), 'mine');
    for (const amqp of [{ queue: mine.queue }, { dead_letter: mine.queue }])
      await assert.rejects(serve(t, ECHO, amqp, {}, other), /no queue of this account/);
    // A name that only the module gives is prefixed like any other.
    const theirs = await serve(
      t,
      `export const QUEUE_NAME = '${mine.queue}';\nexport const lambda_handler = () => "theirs";\n`,
      true,
      {},
      other,
    );
    assert.equal(theirs.queue, `${other.accountId}.${mine.queue}`);
    assert.equal(await callOnceServed(theirs.rpc, theirs.queue, 1), 'theirs');
    const replies = await Promise.all(Array.from({ length: 20 }, () => mine.rpc.call(mine.queue, 1)));
    assert.deepEqual(new Set(replies), new Set(['mine']));

    // A request whose replies would go into the other account's queue is not run, but dead-lettered.
    const { channel } = await rawChannel(t, url);
    const victim = `${other.accountId}.victim`;
    await channel.assertQueue(victim, { durable: true });
    t.after(() => deleteQueues(url, [victim]));
    const dead = await inbox(channel, `${owner.accountId}.private-dead`);
    channel.sendToQueue(mine.queue, Buffer.from('"forged"'), { replyTo: victim, correlationId: 'c' });
    assert.equal((await dead.next()).content.toString(), '"forged"');
    assert.equal(await ready(url, victim), 0);
  });

  test("an allowed queue is served under its own name, at once, and takes replies and dead letters; off the list, the account's own again", async (t) => {
    const tenant = await host.account();
    const [wanted, dead, inboxName] = [newQueueName(), newQueueName(), newQueueName()];
    t.after(() => deleteQueues(url, [wanted, dead, inboxName]));
    const amqp = { queue: wanted, durable: true, dead_letter: dead };
    const { lambdaId, queue: own, rpc } = await serve(t, ECHO, amqp, {}, tenant);
    t.after(() => deleteQueues(url, [own, `${tenant.accountId}.${dead}`]));
    assert.equal(await callOnceServed(rpc, own, 1), 1);
    await assert.rejects(rpc.call(wanted, 1), Unroutable);

    await host.operator.putQuota(tenant.accountId, { queues: [wanted, dead, inboxName] });
    assert.equal(await queueOf(tenant.api, lambdaId), wanted);
    assert.equal(await callOnceServed(rpc, wanted, 2), 2);
    const { channel } = await rawChannel(t, url);
    await channel.assertQueue(wanted, { durable: true, deadLetterExchange: '', deadLetterRoutingKey: dead });
    await channel.assertQueue(inboxName, { durable: true });
    const replies = await inbox(channel, inboxName);
    channel.sendToQueue(wanted, Buffer.from('3'), { replyTo: inboxName });
    assert.equal((await replies.next()).content.toString(), '3');
    // Rejected, because its replies would go where this account may not write.
    const dropped = await inbox(channel, dead);
    channel.sendToQueue(wanted, Buffer.from('4'), { replyTo: own.replace(/.\./, 'x.') });
    assert.equal((await dropped.next()).content.toString(), '4');

    await host.operator.putQuota(tenant.accountId, {});
    assert.equal(await queueOf(tenant.api, lambdaId), own);
    assert.equal(await callOnceServed(rpc, own, 5), 5);
    assert.equal((await channel.checkQueue(wanted)).consumerCount, 0);
  });

  test('an update under load: every call is answered, the last ones by the new version', async (t) => {
    const { lambdaId, queue, rpc } = await serve(t, version(1), { queue: 'updated', durable: true });
    t.after(() => deleteQueues(url, [queue]));
    await callOnceServed(rpc, queue, 0);
    let over = false;
    let sent = 0;
    const seen = new Set<unknown>();
    const lanes = Array.from({ length: 20 }, async () => {
      while (!over) {
        const n = sent++;
        const reply = await rpc.call(queue, n, { timeoutMs: WAIT_MS });
        assert.ok(Array.isArray(reply));
        assert.equal(reply[1], n);
        seen.add(reply[0]);
      }
    });
    const calling = Promise.all(lanes);
    try {
      const archive = archiveOf({ 'lambda_main.ts': version(2) });
      await owner.api.updateLambda({ lambdaId, archive });
      await Promise.race([until('the new version answers', () => seen.has(2)), calling]);
    } finally {
      over = true;
    }
    await calling;
    assert.deepEqual(await rpc.call(queue, 'last'), [2, 'last']);
    assert.deepEqual([...seen], [1, 2]);
  });

  test('switching off and deleting stop it; what waits in a durable queue stays, and is served when it is on again', async (t) => {
    const { lambdaId, queue, rpc } = await serve(t, ECHO, { queue: 'switched', durable: true });
    t.after(() => deleteQueues(url, [queue]));
    await callOnceServed(rpc, queue, 0);
    const { channel } = await rawChannel(t, url);
    const consumers = async (): Promise<number> => (await channel.checkQueue(queue)).consumerCount;
    await owner.api.switchLambda({ lambdaId, alive: false });
    await until('nobody consumes', async () => (await consumers()) === 0);
    const waiting = rpc.call(queue, 'kept', { timeoutMs: 2 * WAIT_MS });
    await until('it waits', async () => (await ready(url, queue)) === 1);
    await owner.api.switchLambda({ lambdaId, alive: true });
    assert.equal(await waiting, 'kept');
    await owner.api.deleteLambda({ lambdaId });
    await until('nobody consumes', async () => (await consumers()) === 0);
  });

  test('two runtimes on one queue share its messages: both serve, none is lost', async (t) => {
    const queue = newQueueName();
    const [one, other] = await Promise.all([startRun(t, { queue }), startRun(t, { queue })]);
    const rpc = client(t, url);
    const values = Array.from({ length: 2_000 }, (_, n) => n);
    assert.deepEqual(await Promise.all(values.map((n) => rpc.call(queue, n))), values);
    const received = async (run: typeof one): Promise<number> => {
      assert.equal((await run.stop()).code, 0);
      return Number(/(\d+) received/.exec(run.out())?.[1]);
    };
    const counts = [await received(one), await received(other)];
    assert.ok(
      counts.every((count) => count > 0),
      String(counts),
    );
    assert.equal((counts[0] ?? 0) + (counts[1] ?? 0), values.length);
  });

  test('a host without amqp.url refuses parameters.amqp, and says what to do', async (t) => {
    const without = await startTestHost();
    t.after(() => without.stop());
    const { api } = await without.account();
    const archive = archiveOf({ 'lambda_main.ts': ECHO });
    const refused = (error: unknown): boolean =>
      error instanceof LambdaApiError && error.statusCode === 400 && /amqp\.url/.test(error.message);
    await assert.rejects(
      api.createLambda({ archive, parameters: { lambda_type: 'rpc', amqp: true } }),
      refused,
    );
    const lambdaId = await deploy(api, ECHO, { lambda_type: 'rpc', amqp: null });
    await assert.rejects(api.patchLambda({ lambdaId, parameters: { amqp: { queue: 'q' } } }), refused);
  });
});
