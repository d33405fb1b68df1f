import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Options } from 'amqplib';
import { encodePublish } from '../../src/amqp/publish-frames.ts';

interface Decoded {
  readonly channel: number;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly size?: number;
  readonly content?: Buffer;
}

/** amqplib's own reading of frames, which it keeps to itself. */
const require = createRequire(import.meta.url);
const amqplib = require(join(dirname(require.resolve('amqplib')), 'lib/frame.js')) as {
  parseFrame(bytes: Buffer, max: number): { rest: Buffer } | false;
  decodeFrame(frame: object): Decoded;
};
const FRAME_MAX = 4096;

function decode(bytes: Buffer): Decoded[] {
  const frames: Decoded[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const frame = amqplib.parseFrame(rest, FRAME_MAX);
    assert.ok(frame, 'whole frames');
    frames.push(amqplib.decodeFrame(frame));
    rest = frame.rest;
  }
  return frames;
}

const ascii = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: 'binary-ascii', maxLength });
const PLAIN = { contentType: 'text/plain', correlationId: '1', timestamp: 1 };

test('amqplib reads back what was encoded, whatever it was', () => {
  const message = fc.record({
    channel: fc.integer({ min: 1, max: 65_535 }),
    routingKey: ascii(255),
    body: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    contentType: ascii(255),
    correlationId: ascii(255),
    timestamp: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  });
  fc.assert(
    fc.property(message, ({ channel, routingKey, body, ...properties }) => {
      const encoded = encodePublish(channel, routingKey, body, properties);
      assert.ok(encoded);
      const [publish, header, content, ...more] = decode(encoded);
      assert.deepEqual(more, []);
      for (const frame of [publish, header, content]) assert.equal(frame?.channel, channel);
      assert.deepEqual(publish?.fields, {
        ticket: 0,
        exchange: '',
        routingKey,
        mandatory: false,
        immediate: false,
      });
      const set = Object.entries(header?.fields ?? {}).filter(([, value]) => value !== undefined);
      assert.deepEqual(Object.fromEntries(set), { ...properties, headers: {} });
      assert.equal(header?.size, body.length);
      assert.deepEqual(content?.content, Buffer.from(body));
    }),
  );
});

test('a body takes one frame of the least size that brokers take; one byte more is amqplib’s', () => {
  const fits = Buffer.alloc(FRAME_MAX - 8, 7);
  assert.deepEqual(decode(encodePublish(1, 'q', fits, PLAIN)!)[2]?.content, fits);
  assert.equal(encodePublish(1, 'q', Buffer.alloc(FRAME_MAX - 7), PLAIN), undefined);
});

test('what is not plain is amqplib’s', () => {
  const body = Buffer.from('x');
  const others: readonly [string, Buffer, Options.Publish][] = [
    ['q', Buffer.alloc(0), PLAIN],
    ['q', body, { ...PLAIN, headers: { 'x-lambda-error': 'Handled' } }],
    ['q', body, { ...PLAIN, persistent: true }],
    ['q', body, { ...PLAIN, mandatory: true }],
    ['q', body, { contentType: 'text/plain', timestamp: 1 }],
    ['q', body, { correlationId: '1', timestamp: 1 }],
    ['q', body, { contentType: 'text/plain', correlationId: '1' }],
    ['q'.repeat(256), body, PLAIN],
    ['é', body, PLAIN],
    ['q', body, { ...PLAIN, correlationId: 'é' }],
    ['q', body, { ...PLAIN, contentType: 'x'.repeat(256) }],
  ];
  for (const [routingKey, each, options] of others)
    assert.equal(encodePublish(1, routingKey, each, options), undefined, JSON.stringify(options));
});
