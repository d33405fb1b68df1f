/** What callers of `isolambda run` get for values, errors and messages that no good client sends. Real process, jail and broker. */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { ConsumeMessage, Options } from 'amqplib';
import { LambdaError, type RpcClient } from '../../src/client/rpc.ts';
import { tempFolder } from '../cli-process.ts';
import { client, inbox, rawCall, rawChannel, until } from '../integration/amqp-serving.ts';
import { startRun, suiteTeardown, type RunProcess } from '../run-process.ts';

const LAMBDA = `
const RETURNS: Record<string, () => unknown> = {
  null: () => null,
  undefined: () => undefined,
  number: () => -0.5,
  boolean: () => false,
  bytes: () => new Uint8Array([1, 2]),
  cycle: () => {
    const ring: Record<string, unknown> = {};
    ring.self = ring;
    return ring;
  },
  bigint: () => 10n,
  text20mb: () => 'x'.repeat(20 * 1024 * 1024),
  bytes20mb: () => new Uint8Array(20 * 1024 * 1024),
};
const THROWS: Record<string, () => unknown> = {
  text: () => 'only a text',
  quotes: () => new TypeError('it said "no"\\nand \\\\ then left'),
  nothing: () => undefined,
  null: () => null,
  number: () => 42,
};
let calls = 0;
export function lambda_handler(event: any, context: any): unknown {
  calls++;
  if (event?.returns) return RETURNS[event.returns]!();
  if (event?.throws) throw THROWS[event.throws]!();
  if (event?.rejects) return Promise.reject(THROWS[event.rejects]!());
  if (event === 'calls') return calls;
  if (event === 'context') {
    const { requestId, functionName, accountId, lambdaId, deadlineMs, redelivered, headers, traceparent, logger } = context;
    logger.info('seen');
    return { requestId, functionName, accountId, lambdaId, left: context.getRemainingTimeInMillis(), deadlineMs, redelivered, headers, traceparent };
  }
  return { kind: event instanceof Uint8Array ? 'bytes' : typeof event, event: event instanceof Uint8Array ? [...event] : event };
}
`;

describe('isolambda run: replies', () => {
  let run: RunProcess;
  const suite = suiteTeardown(after);
  before(async () => {
    const cwd = tempFolder(suite, { 'replies.ts': LAMBDA });
    run = await startRun(suite, { cwd, args: ['replies.ts'] });
  });

  /** The next message is served, whatever the one before was. */
  const servesOn = async (rpc: RpcClient): Promise<void> =>
    assert.deepEqual(await rpc.call(run.queue, 'next'), { kind: 'string', event: 'next' });

  for (const [what, value] of [
    ['null', null],
    ['undefined', null],
    ['number', -0.5],
    ['boolean', false],
    ['bytes', Buffer.from([1, 2])],
  ] as const)
    test(`a handler that returns ${what}: its value`, async (t) => {
      const rpc = client(t, run.url);
      const { contentType } = await rpc.request(run.queue, { returns: what });
      assert.equal(contentType, what === 'bytes' ? 'application/octet-stream' : 'application/json');
      assert.deepEqual(await rpc.call(run.queue, { returns: what }), value);
      await servesOn(rpc);
    });

  for (const [what, errorType] of [
    ['cycle', 'reply_not_serializable'],
    ['bigint', 'reply_not_serializable'],
    ['text20mb', 'reply_too_large'],
    ['bytes20mb', 'reply_too_large'],
  ] as const)
    test(`a handler that returns ${what}: error reply ${errorType}`, async (t) => {
      const rpc = client(t, run.url);
      await assert.rejects(
        rpc.call(run.queue, { returns: what }),
        (error) => error instanceof LambdaError && error.errorType === errorType && !error.handled,
      );
      await servesOn(rpc);
    });

  for (const how of ['throws', 'rejects'])
    for (const [what, errorType, errorMessage] of [
      ['text', 'string', 'only a text'],
      ['quotes', 'TypeError', 'it said "no"\nand \\ then left'],
      ['nothing', 'undefined', 'undefined'],
      ['null', 'object', 'null'],
      ['number', 'number', '42'],
    ] as const)
      test(`a handler that ${how} ${what}: error reply with type, message and request id`, async (t) => {
        const rpc = client(t, run.url);
        const { body, contentType, headers } = await rpc.request(run.queue, { [how]: what });
        const { requestId, ...error } = JSON.parse(body.toString()) as Record<string, unknown>;
        assert.deepEqual(error, { errorType, errorMessage });
        assert.match(String(requestId), /^[0-9a-f-]{36}$/);
        assert.equal(contentType, 'application/json');
        assert.equal(headers['x-lambda-error'], 'Unhandled');
        await servesOn(rpc);
      });

  const raw = (t: TestContext, body: string, properties: Options.Publish): Promise<ConsumeMessage> =>
    rawCall(t, run.url, run.queue, Buffer.from(body), properties);
  const errorType = ({ content }: ConsumeMessage): unknown =>
    (JSON.parse(content.toString()) as { errorType?: unknown }).errorType;
  const parsed = ({ content }: ConsumeMessage): unknown => JSON.parse(content.toString());

  test('content types: bytes, JSON with parameters, and JSON where it parses, else bytes', async (t) => {
    for (const [contentType, body, expected] of [
      ['application/octet-stream', '{}', { kind: 'bytes', event: [0x7b, 0x7d] }],
      ['application/json; charset=utf-8', '{"a":"ü"}', { kind: 'object', event: { a: 'ü' } }],
      ['text/plain', '[1]', { kind: 'object', event: [1] }],
      ['no such type', 'hi', { kind: 'bytes', event: [0x68, 0x69] }],
      [undefined, '7', { kind: 'number', event: 7 }],
    ] as const) {
      const reply = await raw(t, body, contentType === undefined ? {} : { contentType });
      assert.deepEqual(parsed(reply), expected, String(contentType));
    }
  });

  test('broken JSON: an error reply, and the handler is not called', async (t) => {
    const rpc = client(t, run.url);
    const before = Number(await rpc.call(run.queue, 'calls'));
    const reply = await raw(t, '{"a":', { contentType: 'application/json' });
    assert.equal(errorType(reply), 'request_invalid');
    assert.equal(reply.properties.headers?.['x-lambda-error'], 'Unhandled');
    assert.equal(await rpc.call(run.queue, 'calls'), before + 1);
  });

  test('a content encoding that lies: an error reply', async (t) => {
    for (const contentEncoding of ['gzip', 'deflate', 'br'])
      assert.equal(errorType(await raw(t, 'plain', { contentEncoding })), 'request_invalid');
    await servesOn(client(t, run.url));
  });

  test('forged properties: nothing of them comes back, and nothing breaks', async (t) => {
    const reply = await raw(t, '"x"', {
      contentType: 'application/json',
      correlationId: 'c'.repeat(255),
      expiration: '60000',
      priority: 255,
      messageId: 'm',
      type: '__proto__',
      appId: 'a',
      userId: new URL(run.url).username,
      timestamp: 2 ** 52,
      headers: {
        'x-lambda-error': 'Handled',
        'x-death': [{ count: 99 }],
        traceparent: 'ff-forged',
        constructor: { prototype: 1 },
        CC: [run.queue],
      },
    });
    assert.deepEqual(parsed(reply), { kind: 'string', event: 'x' });
    const properties = new Map<string, unknown>(Object.entries(reply.properties));
    assert.ok(!Object.hasOwn(reply.properties.headers ?? {}, 'x-lambda-error'));
    assert.ok(Math.abs(Number(properties.get('timestamp')) - Date.now() / 1_000) < 60);
    const others = [...properties].filter(
      ([name, value]) => value !== undefined && name !== 'headers' && name !== 'timestamp',
    );
    assert.deepEqual(Object.fromEntries(others), {
      contentType: 'application/json',
      correlationId: 'c'.repeat(255),
    });
    await servesOn(client(t, run.url));
  });

  test('a reply_to that leads nowhere, or is no name: dropped, and the next message is served', async (t) => {
    const { channel } = await rawChannel(t, run.url);
    for (const replyTo of ['no-such-queue', 'amq.rabbitmq.reply-to.forged', '\u0000', 'ü'.repeat(127)])
      channel.sendToQueue(run.queue, Buffer.from('1'), { replyTo, correlationId: replyTo });
    await servesOn(client(t, run.url));
  });

  test('no reply_to: it is run and acknowledged, without reply', async (t) => {
    const rpc = client(t, run.url);
    const before = Number(await rpc.call(run.queue, 'calls'));
    const { channel } = await rawChannel(t, run.url);
    channel.sendToQueue(run.queue, Buffer.from('1'), { correlationId: 'nobody' });
    // On one channel messages keep their order: what follows it is answered after it ran.
    const replies = await inbox(channel, 'amq.rabbitmq.reply-to');
    channel.sendToQueue(run.queue, Buffer.from('"calls"'), { replyTo: 'amq.rabbitmq.reply-to' });
    assert.equal(parsed(await replies.next()), before + 2);
  });

  test('context: who, how long, headers, trace; its logger writes to the log', async (t) => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const rpc = client(t, run.url);
    const seen = (await rpc.call(run.queue, 'context', {
      timeoutMs: 10_000,
      headers: { traceparent, mine: 'x' },
    })) as Record<string, unknown>;
    assert.match(String(seen.requestId), /^[0-9a-f-]{36}$/);
    assert.equal(seen.functionName, 'lambda_handler');
    assert.equal(seen.redelivered, false);
    assert.equal(seen.traceparent, traceparent);
    assert.deepEqual(seen.headers, { traceparent, mine: 'x' });
    assert.ok(Number(seen.left) > 0 && Number(seen.left) <= 10_999, String(seen.left));
    // Not in step with the reply: it comes through a pipe of its own.
    await until('its logger wrote', () => run.log().includes(`"request_id":"${String(seen.requestId)}"`));
  });
});
