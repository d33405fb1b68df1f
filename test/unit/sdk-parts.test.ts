import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { decodeUtf8, encodeUtf8, utf8Length } from '../../sandbox/sdk/core/bytes.ts';
import { maskSecrets } from '../../sandbox/sdk/core/configuration.ts';
import { formatLine } from '../../sandbox/sdk/core/logger.ts';
import { Counter, Gauge, Histogram, Summary } from '../../sandbox/sdk/index.ts';
import { chacha20Block } from '../../sandbox/guest/random.ts';

test('UTF-8 both ways is Node’s own', () => {
  const texts = [
    '',
    'a',
    'é',
    '€',
    '😀',
    'a😀é',
    '\ud800',
    'a\udc00b',
    '\ud800\ud800\udc00',
    '\uffff',
    'x'.repeat(20_000) + '😀',
  ];
  for (const text of texts) {
    assert.deepEqual(
      Buffer.from(encodeUtf8(text)),
      Buffer.from(text, 'utf8'),
      JSON.stringify(text.slice(0, 10)),
    );
    assert.equal(utf8Length(text), Buffer.byteLength(text));
  }
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for (let i = 0; i < 3_000; i++) {
    const bytes = Buffer.from(randomBytes(i % 40)).map((byte, at) => (at % 3 === 0 ? byte : byte | 0x80));
    assert.equal(decodeUtf8(bytes), decoder.decode(bytes), Buffer.from(bytes).toString('hex'));
  }
});

test('the random generator’s block is ChaCha20 as OpenSSL has it', () => {
  for (let i = 0; i < 20; i++) {
    const key = randomBytes(32);
    const counter = i * 1_000;
    const iv = Buffer.alloc(16);
    iv.writeUInt32LE(counter, 0);
    const expected = createCipheriv('chacha20', key, iv).update(Buffer.alloc(64));
    const block = new Uint8Array(64);
    chacha20Block(key, counter, block);
    assert.deepEqual(Buffer.from(block), expected);
  }
});

test('secrets are masked by name, and passwords in URLs', () => {
  assert.deepEqual(
    maskSecrets({
      password: 'x',
      dbPassword: 'y',
      api_key: 1,
      key: 'k',
      monkey: 'banana',
      token: '',
      list: [{ secret: { deep: 1 } }],
      url: 'https://u:p@h/p',
    }),
    {
      password: '[masked]',
      dbPassword: '[masked]',
      api_key: '[masked]',
      key: '[masked]',
      monkey: 'banana',
      token: '',
      list: [{ secret: '[masked]' }],
      url: 'https://u:[masked]@h/p',
    },
  );
});

test('log lines: formats, fields, templates', () => {
  const tag = (parts: TemplateStringsArray, ...values: unknown[]) => formatLine(parts, values);
  assert.equal(tag`a ${1} b ${{ c: 2 }}`.message, 'a 1 b {"c":2}');
  assert.deepEqual(formatLine('%s %d%% %j', ['x', '3', [1]]), { message: 'x 3% [1]', fields: undefined });
  assert.deepEqual(formatLine('plain', [{ a: 1 }, { b: 2 }]), { message: 'plain', fields: { a: 1, b: 2 } });
  assert.equal(formatLine('missing %s', []).message, 'missing %s');
  assert.equal(formatLine('extra', ['one', 2, null]).message, 'extra one 2 null');
});

test('metrics collect, and are bounded in names, labels and series', () => {
  const counter = new Counter({ name: 'c', help: 'h', labelNames: ['status'] });
  counter.inc({ status: 200 });
  counter.inc({ status: 200 }, 2);
  assert.deepEqual(counter.collect().samples, [{ name: 'c', labels: { status: '200' }, value: 3 }]);
  assert.throws(() => counter.inc(-1), /can't go down/);
  assert.throws(() => counter.inc({ other: 1 }), /no label "other"/);
  assert.throws(() => new Counter({ name: 'a b', help: '' }), TypeError);
  for (let i = 0; i < 1_100; i++) counter.inc({ status: i });
  assert.equal(counter.collect().samples.length, 1_000);
  assert.ok(counter.dropped > 0);
  const gauge = new Gauge({ name: 'g', help: '' });
  gauge.set(5);
  gauge.dec(2);
  assert.equal(gauge.collect().samples[0]!.value, 3);
  const histogram = new Histogram({ name: 'h', help: '', buckets: [2, 1] });
  for (const value of [0.5, 1, 1.5, 9]) histogram.observe(value);
  assert.deepEqual(
    histogram.collect().samples.map(({ name, labels, value }) => [name, labels['le'], value]),
    [
      ['h_bucket', '1', 2],
      ['h_bucket', '2', 3],
      ['h_bucket', '+Inf', 4],
      ['h_sum', undefined, 12],
      ['h_count', undefined, 4],
    ],
  );
  const summary = new Summary({ name: 's', help: '', percentiles: [0.5] });
  for (let i = 1; i <= 100; i++) summary.observe(i);
  assert.equal(summary.collect().samples[0]!.value, 50);
});
