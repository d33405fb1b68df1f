/**
 * 50,000 calls of a real `isolambda run` through 20 forced closures and a restart of the broker. Minutes long, so only on demand:
 *
 *     ISOLAMBDA_ENDURANCE=1 node --test test/e2e/amqp-endurance.test.ts
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RpcError, type RpcClient } from '../../src/client/rpc.ts';
import { startBroker } from '../broker.ts';
import { client, newQueueName, until } from '../integration/amqp-serving.ts';
import { startRun } from '../run-process.ts';

const CALLS = 50_000;
const IN_FLIGHT = 200;
const CLOSURES = 20;
const skip = process.env.ISOLAMBDA_ENDURANCE === undefined && 'set ISOLAMBDA_ENDURANCE=1: it takes minutes';

interface Calling {
  /** Resolves when so many calls more have a reply. */
  replied(more: number): Promise<void>;
  /** No further calls; how each of those made has ended. */
  readonly ends: Promise<{ replies: number; errors: ReadonlyMap<string, number> }>;
  stop(): void;
}

/** Calls in 200 lanes, `most` in all; a reply that is not its own call's fails the test. */
function keepCalling(rpc: RpcClient, queue: string, most: number): Calling {
  let [next, replies, over] = [0, 0, false];
  const errors = new Map<string, number>();
  const waiting = new Set<{ at: number; resolve: () => void }>();
  const lane = async (): Promise<void> => {
    while (next < most && !over) {
      const n = next++;
      try {
        assert.equal(await rpc.call(queue, n, { timeoutMs: 60_000 }), n);
        replies++;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        errors.set(error.code, (errors.get(error.code) ?? 0) + 1);
      }
      for (const one of waiting) if (replies >= one.at && waiting.delete(one)) one.resolve();
    }
  };
  const ends = Promise.all(Array.from({ length: IN_FLIGHT }, lane)).then(() => {
    assert.equal(replies + [...errors.values()].reduce((sum, count) => sum + count, 0), next);
    return { replies, errors };
  });
  return {
    replied: (more) =>
      Promise.race([
        new Promise<void>((resolve) => waiting.add({ at: replies + more, resolve })),
        ends.then(() => Promise.reject(new Error('the calls ended before'))),
      ]),
    ends,
    stop: () => void (over = true),
  };
}

test(
  '20 forced closures, and a restart of the broker within 50,000 calls: each call ends once, nothing is stuck',
  { skip },
  async (t) => {
    const broker = await startBroker();
    const queue = newQueueName();
    const run = await startRun(t, { url: `${broker.url}?retry_delay=2`, queue, args: ['--durable'] });
    const rpc = client(t, broker.url);
    const left = async (): Promise<string | undefined> =>
      (
        await broker.ctl(
          'list_queues',
          'name',
          'messages_ready',
          'messages_unacknowledged',
          '--no-table-headers',
        )
      )
        .split('\n')
        .find((row) => row.startsWith(queue));

    // The client's own connection is left alone, so nothing may fail.
    const throughClosures = keepCalling(rpc, queue, Infinity);
    let closed = 0;
    while (closed < CLOSURES) {
      await throughClosures.replied(200);
      closed += await broker.closeConnections(`isolambda ${queue}`);
    }
    await throughClosures.replied(200);
    throughClosures.stop();
    const first = await throughClosures.ends;
    assert.deepEqual([...first.errors], []);
    await until('nothing is left', async () => (await left()) === `${queue}\t0\t0`);

    // The restart cuts the client off as well: at most what was under way then may end in an error, of one type.
    const throughRestart = keepCalling(rpc, queue, CALLS);
    await throughRestart.replied(CALLS / 3);
    await broker.restart();
    const second = await throughRestart.ends;
    const cutOff = second.errors.get('connection_lost') ?? 0;
    assert.equal(second.replies + cutOff, CALLS, JSON.stringify([...second.errors]));
    assert.ok(cutOff <= IN_FLIGHT, `${cutOff} calls were cut off by the restart`);
    await until('nothing is left', async () => (await left()) === `${queue}\t0\t0`);
    assert.equal(await rpc.call(queue, 'after'), 'after');
    assert.equal((await run.stop()).code, 0);
    t.diagnostic(`${closed} closures: ${first.replies} calls right, none failed`);
    t.diagnostic(
      `restart in ${CALLS} calls: ${second.replies} right, ${cutOff} cut off with connection_lost`,
    );
  },
);
