/** `isolambda echo-client` against `isolambda run`, and against servers that answer wrongly, late, or not at all. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brokerUrl } from '../broker.ts';
import { runCli, type CliResult } from '../cli-process.ts';
import { echo, newQueueName, rawChannel, serving } from '../integration/amqp-serving.ts';
import { startRun } from '../run-process.ts';

const echoClient = (url: string, queue: string, ...more: string[]): Promise<CliResult> =>
  runCli(['echo-client', '-u', url, '-q', queue, ...more]);

interface Report {
  right: number;
  wrong: number;
  failed: number;
  firstError?: string;
  perSecond: number;
  latencyMs: { p50: number; p90: number; p99: number; max: number };
}

describe('isolambda echo-client', { concurrency: 2 }, () => {
  test('every reply is right, in bytes and in JSON; no message is left in the queue', async (t) => {
    const { url, queue } = await startRun(t);
    const bytes = await echoClient(url, queue, '-n', '3000');
    assert.equal(bytes.code, 0, bytes.stderr);
    assert.match(bytes.stdout, /3000 right, 0 wrong, 0 failed/);
    assert.match(
      bytes.stdout,
      /calls per second\n\s+latency p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms, max/,
    );
    const options = [
      '-n',
      '501',
      '--in-flight',
      '7',
      '--payload',
      '3000',
      '--json',
      '-t',
      '--format',
      'json',
    ];
    const json = await echoClient(url, queue, ...options);
    assert.equal(json.code, 0, json.stderr);
    const { right, wrong, failed, latencyMs } = JSON.parse(json.stdout) as Report;
    assert.deepEqual([right, wrong, failed], [501, 0, 0]);
    const { p50, p90, p99, max } = latencyMs;
    assert.ok(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= max, JSON.stringify(latencyMs));
    const { channel } = await rawChannel(t, url);
    assert.equal((await channel.checkQueue(queue)).messageCount, 0);
  });

  test('nothing serves the queue: it says so at once, whatever the number of calls', async () => {
    const queue = newQueueName();
    const { code, stdout, stderr } = await echoClient(await brokerUrl(), queue);
    assert.deepEqual([code, stdout], [4, '']);
    assert.match(stderr, new RegExp(`no queue "${queue}"`));
  });

  test('replies that are changed, errors, and calls without a reply are counted, told, and end it with 1', async (t) => {
    let count = 0;
    const { url, queue } = await serving(t, {
      serve: async (request) => {
        const n = ++count;
        if (n % 10 === 1) return new Promise(() => undefined);
        if (n % 10 === 2) throw new Error('broken');
        const reply = await echo(request);
        return n % 10 === 3 && reply.kind === 'reply' ? { ...reply, body: Buffer.from('another') } : reply;
      },
    });
    const { code, stdout, stderr } = await echoClient(
      url,
      queue,
      ...['-n', '100', '--in-flight', '100', '--timeout', '1500', '--format', 'json'],
    );
    const { right, wrong, failed, latencyMs } = JSON.parse(stdout) as Report;
    assert.deepEqual([code, right, wrong, failed], [1, 70, 10, 20]);
    assert.ok(latencyMs.p50 > 0, 'calls without a reply have no latency');
    assert.match(stderr, /10 replies were wrong, 20 calls failed/);
  });
});
