import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../src/config/limits.ts';
import { believable, outcomeOf, replyHeaders } from '../../src/pool/reply.ts';
import { FAILURE_KINDS, failure, type Outcome } from '../../src/protocol/outcome.ts';
import { FrameError } from '../../src/protocol/frame.ts';

const limits = { ...DEFAULT_LIMITS, reply_bytes: 10, header_bytes: 256 };
const reply = (headers: string[], bytes = 0): Outcome =>
  outcomeOf({ kind: 'reply', status: 200, headers }, Buffer.alloc(bytes), limits);

describe('the headers of a reply', () => {
  it('pass as they are where HTTP allows them', () => {
    const headers = [
      'content-type',
      'text/plain',
      'set-cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'x-latin',
      'caf\u00e9',
    ];
    const outcome = reply(headers);
    assert.equal(outcome.kind, 'reply');
    assert.deepEqual(outcome.kind === 'reply' && outcome.headers, headers);
  });

  it('lose those of the hop and of the framing, in any spelling', () => {
    const hop = [
      'Connection',
      'close',
      'transfer-encoding',
      'chunked',
      'Content-Length',
      '5',
      'Upgrade',
      'h2c',
      'Keep-Alive',
      '1',
      'TE',
      'x',
      'trailer',
      'x',
      'proxy-connection',
      'x',
    ];
    assert.deepEqual(replyHeaders([...hop, 'X-Kept', 'Yes'], 1000), { list: ['x-kept', 'Yes'] });
  });

  for (const [what, headers] of Object.entries({
    'CR LF in a value': ['x', 'a\r\nset-cookie: b'],
    'LF in a value': ['x', 'a\nb'],
    'NUL in a value': ['x', 'a\0b'],
    'a value beyond a byte': ['x', '\u0100'],
    'an empty name': ['', 'x'],
    'a space in a name': ['a b', 'x'],
    'a colon in a name': ['a:b', 'x'],
    'CR LF in a name': ['a\r\nb', 'x'],
    'a name beyond ASCII': ['caf\u00e9', 'x'],
    'a name without a value': ['x'],
  }))
    it(`make the reply invalid: ${what}`, () => assert.equal(reply(headers).kind, 'reply_invalid'));

  it('may have header_bytes, and not one more', () => {
    assert.equal(reply(['x', 'a'.repeat(255)]).kind, 'reply');
    assert.equal(reply(['x', 'a'.repeat(256)]).kind, 'reply_too_large');
  });
});

it('a body may have reply_bytes, and not one more', () => {
  assert.equal(reply([], 10).kind, 'reply');
  assert.equal(reply([], 11).kind, 'reply_too_large');
});

describe('a failure that a runner reports', () => {
  it('is its own, or breaks the protocol', () => {
    for (const kind of FAILURE_KINDS) {
      const hosts = [
        'rate_limited',
        'concurrency_limit',
        'queue_full',
        'queue_timeout',
        'not_ready',
        'disabled',
        'quarantined',
        'runner_lost',
      ].includes(kind);
      if (hosts) assert.throws(() => believable(failure(kind, 'x')), FrameError, kind);
      else assert.equal(believable(failure(kind, 'x')).kind, kind);
    }
  });

  it('is cut to size', () => {
    const long = 'x'.repeat(100_000);
    const told = believable({ kind: 'exception', detail: long, stack: long, type: long, retryAfterMs: 1e12 });
    assert.equal(told.detail.length, 8192);
    assert.equal(told.stack?.length, 32_768);
    assert.equal(told.type?.length, 128);
    assert.equal(told.retryAfterMs, 60_000);
  });

  it('has a status that HTTP knows, or none', () => {
    assert.equal(believable({ kind: 'user_exception', detail: '', status: 404 }).status, 404);
    assert.equal(believable({ kind: 'user_exception', detail: '', status: 100 }).status, undefined);
    assert.equal(believable({ kind: 'user_exception', detail: '', status: 600 }).status, undefined);
  });

  it('puts nothing but methods into Allow', () => {
    assert.equal(
      believable({ kind: 'method_not_allowed', detail: '', allow: 'GET, POST' }).allow,
      'GET, POST',
    );
    assert.equal(
      believable({ kind: 'method_not_allowed', detail: '', allow: 'GET\r\nx: y' }).allow,
      undefined,
    );
  });

  it('carries only what a failure has', () => {
    const told = believable({ kind: 'exception', detail: 'd', ...(JSON.parse('{"extra": 1}') as object) });
    assert.deepEqual(Object.keys(told), ['kind', 'detail']);
  });
});
