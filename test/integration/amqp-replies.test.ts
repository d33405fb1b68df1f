/** Rows of docs on AMQP RPC about one message and its reply. Against a real broker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import type { ServeRequest } from '../../src/gateway/amqp/types.ts';
import { failure } from '../../src/protocol/outcome.ts';
import { client, echo, inbox, json, rawCall, rawChannel, serving, until } from './amqp-serving.ts';

const errorOf = (content: Buffer): Record<string, unknown> =>
  JSON.parse(content.toString()) as Record<string, unknown>;

test('decode: body and content type reach the handler as they came, parameters included', async (t) => {
  const seen: (readonly [string, string])[] = [];
  const { url, queue } = await serving(t, {
    serve: (request) => {
      seen.push([request.head.contentType, Buffer.from(request.body).toString()]);
      return echo(request);
    },
  });
  await rawCall(t, url, queue, Buffer.from('{"a":1}'), { contentType: 'application/json; charset=utf-8' });
  await rawCall(t, url, queue, Buffer.from([0x68, 0x69]), { contentType: 'application/octet-stream' });
  await rawCall(t, url, queue, Buffer.from('plain'));
  assert.deepEqual(seen, [
    ['application/json; charset=utf-8', '{"a":1}'],
    ['application/octet-stream', 'hi'],
    ['', 'plain'],
  ]);
});

for (const [encoding, how, pack] of [
  ['gzip', 'gzip', gzipSync],
  ['GZIP', 'gzip', gzipSync],
  ['deflate', 'with zlib header', deflateSync],
  ['deflate', 'without zlib header', deflateRawSync],
] as const)
  test(`decode: content_encoding ${encoding} (${how}) is undone`, async (t) => {
    const { url, queue } = await serving(t);
    const reply = await rawCall(t, url, queue, pack('{"a":1}'), { contentEncoding: encoding });
    assert.equal(reply.content.toString(), '{"a":1}');
    assert.equal(reply.properties.contentEncoding, undefined);
  });

test('decode: a content encoding within the size limit passes, one byte more gets an error reply', async (t) => {
  const { url, queue } = await serving(t, { requestBytes: 100_000 });
  const fits = await rawCall(t, url, queue, gzipSync(Buffer.alloc(100_000)), { contentEncoding: 'gzip' });
  assert.equal(fits.content.length, 100_000);
  const bomb = await rawCall(t, url, queue, gzipSync(Buffer.alloc(100_001)), { contentEncoding: 'gzip' });
  assert.equal(errorOf(bomb.content).errorType, 'request_too_large');
});

test('decode: a content encoding that lies, or that nobody knows, gets an error reply; the next message is served', async (t) => {
  let calls = 0;
  const { url, queue } = await serving(t, {
    serve: (request) => {
      calls++;
      return echo(request);
    },
  });
  for (const contentEncoding of ['gzip', 'deflate', 'br', 'x'.repeat(255)]) {
    const reply = await rawCall(t, url, queue, Buffer.from('neither'), { contentEncoding });
    assert.equal(errorOf(reply.content).errorType, 'request_invalid', contentEncoding);
    assert.equal(reply.properties.headers?.['x-lambda-error'], 'Unhandled');
  }
  assert.equal(calls, 0);
  assert.equal(
    (await rawCall(t, url, queue, Buffer.from('x'), { contentEncoding: 'utf-8' })).content.toString(),
    'x',
  );
});

test('decode: a body over the request limit gets an error reply, one at the limit is served', async (t) => {
  const { url, queue } = await serving(t, { requestBytes: 1_000 });
  assert.equal((await rawCall(t, url, queue, Buffer.alloc(1_000))).content.length, 1_000);
  const reply = await rawCall(t, url, queue, Buffer.alloc(1_001));
  assert.equal(errorOf(reply.content).errorType, 'request_too_large');
});

test('handler error: type, message and request id as JSON, whatever the message holds', async (t) => {
  const detail = 'it said "no"\nand \\ then \u0000 \u2028 left';
  const ids: string[] = [];
  const { url, queue } = await serving(t, {
    serve: async ({ head }) => {
      ids.push(head.requestId);
      return failure('exception', detail, { type: 'TypeError' });
    },
  });
  const reply = await rawCall(t, url, queue, Buffer.from('x'));
  assert.deepEqual(errorOf(reply.content), {
    errorType: 'TypeError',
    errorMessage: detail,
    requestId: ids[0],
  });
  assert.equal(reply.properties.contentType, 'application/json');
  assert.equal(reply.properties.headers?.['x-lambda-error'], 'Unhandled');
});

test('handler error: a UserException is Handled; a stack comes along where the lambda gives it', async (t) => {
  const { url, queue } = await serving(t, {
    serve: async () =>
      failure('user_exception', 'two images', {
        type: 'ImageCount',
        stack: 'ImageCount: two\n    at main.ts:3:9',
      }),
  });
  const reply = await rawCall(t, url, queue, Buffer.from('x'));
  assert.equal(reply.properties.headers?.['x-lambda-error'], 'Handled');
  assert.deepEqual(errorOf(reply.content).stackTrace, ['ImageCount: two', '    at main.ts:3:9']);
});

test('handler error: one that rejects or throws is answered as internal, and the next message is served', async (t) => {
  const { url, queue } = await serving(t, {
    serve: (request) => {
      const text = Buffer.from(request.body).toString();
      if (text === 'throw') throw new Error('secret of the host');
      return text === 'reject' ? Promise.reject(new Error('secret of the host')) : echo(request);
    },
  });
  for (const how of ['throw', 'reject']) {
    const reply = await rawCall(t, url, queue, Buffer.from(how));
    assert.equal(errorOf(reply.content).errorType, 'internal');
    assert.doesNotMatch(reply.content.toString(), /secret/);
  }
  assert.equal((await rawCall(t, url, queue, Buffer.from('ok'))).content.toString(), 'ok');
});

test('reply properties: correlation id, content type and timestamp; nothing else is echoed', async (t) => {
  const { url, queue } = await serving(t);
  const reply = await rawCall(t, url, queue, Buffer.from('x'), {
    correlationId: 'c-1',
    contentType: 'text/plain',
    contentEncoding: 'identity',
    headers: { mine: 1, CC: ['elsewhere'] },
    expiration: 60_000,
    priority: 3,
    messageId: 'm',
    type: 't',
    appId: 'a',
    userId: new URL(url).username || 'guest',
    persistent: true,
  });
  const properties = new Map<string, unknown>(Object.entries(reply.properties));
  assert.ok(Math.abs(Number(properties.get('timestamp')) - Date.now() / 1_000) < 10);
  assert.deepEqual(properties.get('headers'), {});
  const others = [...properties].filter(
    ([name, value]) => value !== undefined && !/timestamp|headers/.test(name),
  );
  assert.deepEqual(Object.fromEntries(others), { contentType: 'text/plain', correlationId: 'c-1' });
});

test('reply to: a queue of the caller serves as well as direct reply-to', async (t) => {
  const { url, queue } = await serving(t);
  const { channel } = await rawChannel(t, url);
  const mine = await channel.assertQueue('', { exclusive: true });
  const replies = await inbox(channel, mine.queue);
  channel.sendToQueue(queue, Buffer.from('x'), { replyTo: mine.queue, correlationId: '7' });
  const reply = await replies.next();
  assert.equal(reply.properties.correlationId, '7');
  assert.equal(reply.content.toString(), 'x');
});

test('reply to: a request without it is run and acknowledged without reply', async (t) => {
  const bodies: string[] = [];
  const { url, queue, service } = await serving(t, {
    kind: 'durable',
    serve: (request) => {
      bodies.push(Buffer.from(request.body).toString());
      return echo(request);
    },
  });
  const { channel } = await rawChannel(t, url);
  channel.sendToQueue(queue, Buffer.from('fire'));
  await until('it ran', () => service.stats().unanswered === 1);
  assert.deepEqual(bodies, ['fire']);
  await service.stop(1_000);
  const { messageCount } = await channel.checkQueue(queue);
  assert.equal(messageCount, 0);
});

test('reply to: callers that are gone, and addresses that mean nothing, harm nobody', async (t) => {
  const { url, queue, service } = await serving(t);
  const { channel } = await rawChannel(t, url);
  const addresses = [
    'no-such-queue',
    'amq.rabbitmq.reply-to.garbage',
    'amq.rabbitmq.reply-to.g1h2AAAA',
    'amq.rabbitmq.reply-to.',
    '\u0000',
    'x'.repeat(255),
  ];
  for (const replyTo of addresses) channel.sendToQueue(queue, Buffer.from('x'), { replyTo });
  await until('each was settled', () => {
    const { replied, undeliverable } = service.stats();
    return replied + undeliverable === addresses.length;
  });
  assert.equal(await client(t, url).call(queue, 'still here'), 'still here');
});

test('reply to: addresses that the operator does not allow are refused, direct reply-to is not', async (t) => {
  const { url, queue, service } = await serving(t, { mayReplyTo: (name) => name.startsWith('mine-') });
  const { channel } = await rawChannel(t, url);
  const victim = await channel.assertQueue(`victim-${queue}`, { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('x'), { replyTo: victim.queue });
  await until('it was rejected', () => service.stats().deadLettered === 1);
  assert.equal((await channel.checkQueue(victim.queue)).messageCount, 0);
  assert.equal(await client(t, url).call(queue, 'x'), 'x');
});

test('encode: a reply of 20 MB arrives whole', async (t) => {
  const body = Buffer.alloc(20 * 1024 * 1024, 'abcdefg');
  const { url, queue } = await serving(t, {
    replyBytes: 32 * 1024 * 1024,
    serve: async () => ({ kind: 'reply', status: 200, headers: [], body }),
  });
  const reply = await client(t, url).call(queue, null);
  assert.ok(reply instanceof Buffer && reply.equals(body));
});

test('encode: a reply over the limit becomes an error reply', async (t) => {
  const { url, queue } = await serving(t, {
    replyBytes: 1_000,
    serve: async ({ body }) => ({
      kind: 'reply',
      status: 200,
      headers: [],
      body: Buffer.alloc(Number(Buffer.from(body).toString())),
    }),
  });
  assert.equal((await rawCall(t, url, queue, Buffer.from('1000'))).content.length, 1_000);
  assert.equal(
    errorOf((await rawCall(t, url, queue, Buffer.from('1001'))).content).errorType,
    'reply_too_large',
  );
});

test('deadline: what its expiration leaves is what the handler is told', async (t) => {
  const heads: ServeRequest['head'][] = [];
  const { url, queue } = await serving(t, {
    timeoutMs: 5_000,
    serve: (request) => {
      heads.push(request.head);
      return echo(request);
    },
  });
  const beforeMs = Date.now();
  await rawCall(t, url, queue, Buffer.from('x'), { expiration: 2_000 });
  await rawCall(t, url, queue, Buffer.from('x'), { expiration: 60_000 });
  const [own, limit] = heads.map((head) => head.deadlineMs - beforeMs);
  const slackMs = Date.now() - beforeMs;
  assert.ok(own !== undefined && own >= 2_000 && own <= 2_000 + slackMs, `${own}`);
  assert.ok(limit !== undefined && limit >= 5_000 && limit <= 5_000 + slackMs, `${limit}`);
});

test('deadline: queueing counts: what waited past its time is answered, and its handler not called', async (t) => {
  const gate = Promise.withResolvers<void>();
  const ran: string[] = [];
  const { url, queue } = await serving(t, {
    concurrency: 1,
    timeoutMs: 300,
    serve: async (request) => {
      ran.push(Buffer.from(request.body).toString());
      await gate.promise;
      return echo(request);
    },
  });
  const first = rawCall(t, url, queue, Buffer.from('first'));
  await until('the first runs', () => ran.length === 1);
  const second = await rawCall(t, url, queue, Buffer.from('second'));
  assert.equal(errorOf(second.content).errorType, 'timeout');
  gate.resolve();
  await first;
  assert.deepEqual(ran, ['first']);
});

test('deadline: a handler that overruns is told by its signal, and answered for when it does not end', async (t) => {
  let aborted = false;
  const { url, queue, service } = await serving(t, {
    timeoutMs: 100,
    serve: (request) => {
      request.signal.addEventListener('abort', () => (aborted = true));
      return new Promise(() => undefined);
    },
  });
  const reply = await rawCall(t, url, queue, Buffer.from('x'));
  assert.equal(errorOf(reply.content).errorType, 'timeout');
  assert.ok(aborted);
  await until('its place is free', () => service.stats().running === 0);
});

test('context: headers reach the handler as plain values, and forged ones do no harm', async (t) => {
  const heads: ServeRequest['head'][] = [];
  const { url, queue } = await serving(t, {
    serve: (request) => {
      heads.push(request.head);
      return echo(request);
    },
  });
  const headers = {
    text: 'x',
    number: 1.5,
    yes: true,
    none: null,
    bytes: Buffer.from('hi'),
    when: { '!': 'timestamp', value: 1_700_000_000 },
    list: [1, { deep: 'er' }],
    ['__proto__']: { polluted: 'yes' },
    constructor: 'x',
  };
  await rawCall(t, url, queue, Buffer.from('x'), { headers });
  assert.deepEqual(JSON.parse(JSON.stringify(heads[0]?.headers)), {
    text: 'x',
    number: 1.5,
    yes: true,
    none: null,
    bytes: 'aGk=',
    when: 1_700_000_000_000,
    list: [1, { deep: 'er' }],
    constructor: 'x',
  });
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.equal(heads[0]?.redelivered, false);
});

test('context: headers over the limit, or nested without end, get an error reply', async (t) => {
  const { url, queue } = await serving(t, { headerBytes: 1_000 });
  assert.equal(
    (await rawCall(t, url, queue, Buffer.from('x'), { headers: { a: 'x'.repeat(900) } })).content.toString(),
    'x',
  );
  const large = await rawCall(t, url, queue, Buffer.from('x'), { headers: { a: 'x'.repeat(1_000) } });
  assert.equal(errorOf(large.content).errorType, 'request_too_large');
  let deep: unknown = 1;
  for (let i = 0; i < 100; i++) deep = [deep];
  const nested = await rawCall(t, url, queue, Buffer.from('x'), { headers: { deep } });
  assert.equal(errorOf(nested.content).errorType, 'request_too_large');
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';
for (const [name, value] of [
  ['traceparent', `00-${TRACE}-b7ad6b7169203331-01`],
  ['uber-trace-id', `${TRACE}:b7ad6b7169203331:0:1`],
  ['X-Amzn-Trace-Id', `Root=1-${TRACE.slice(0, 8)}-${TRACE.slice(8)};Parent=b7ad6b7169203331;Sampled=1`],
])
  test(`tracing: ${name} is understood, told to the handler, and carried on in the reply`, async (t) => {
    const seen: unknown[] = [];
    const { url, queue } = await serving(t, {
      serve: (request) => {
        seen.push(request.head.traceparent);
        return echo(request);
      },
    });
    const reply = await rawCall(t, url, queue, Buffer.from('x'), {
      headers: { [name ?? '']: value, mine: 'no' },
    });
    assert.deepEqual(seen, [`00-${TRACE}-b7ad6b7169203331-01`]);
    assert.deepEqual({ ...reply.properties.headers }, { traceparent: `00-${TRACE}-b7ad6b7169203331-01` });
  });

test('tracing: with a tracer there is a consumer and a producer span, each ended, one below the other', async (t) => {
  const spans: { name: string; parent: string | undefined; id: string; ended: boolean }[] = [];
  const { url, queue, service } = await serving(t, {
    tracer: {
      start: (_name, kind, parent) => {
        const span = {
          name: kind,
          parent: parent?.spanId,
          id: String(spans.length + 1).padStart(16, '0'),
          ended: false,
        };
        spans.push(span);
        return {
          context: { traceId: parent?.traceId ?? TRACE, spanId: span.id, sampled: true },
          set: () => undefined,
          end: () => (span.ended = true),
        };
      },
    },
    serve: async ({ head }) => json(head.traceparent),
  });
  const reply = await rawCall(t, url, queue, Buffer.from('x'), {
    headers: { traceparent: `00-${TRACE}-b7ad6b7169203331-01` },
  });
  await until('the reply is confirmed', () => service.stats().replied === 1);
  assert.deepEqual(spans, [
    { name: 'consumer', parent: 'b7ad6b7169203331', id: '0000000000000001', ended: true },
    { name: 'producer', parent: '0000000000000001', id: '0000000000000002', ended: true },
  ]);
  assert.equal(JSON.parse(reply.content.toString()), `00-${TRACE}-0000000000000001-01`);
  assert.equal(reply.properties.headers?.traceparent, `00-${TRACE}-0000000000000002-01`);
});
