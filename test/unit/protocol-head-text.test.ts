import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { headText } from '../../src/protocol/head-text.ts';
import type { RpcHead } from '../../src/protocol/invocation.ts';

const text = fc.oneof(
  fc.constantFrom('', 'local', 'application/json', '"\\\u2028\u0000'),
  fc.string({ unit: 'binary' }),
);
const head: fc.Arbitrary<RpcHead> = fc.record(
  {
    kind: fc.constant('rpc' as const),
    requestId: fc.oneof(fc.uuid(), text),
    accountId: text,
    deadlineMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    traceparent: fc.option(text, { nil: undefined }),
    contentType: text,
    headers: fc.dictionary(fc.oneof(text, fc.constant('__proto__')), fc.jsonValue(), {
      noNullPrototype: false,
    }),
    redelivered: fc.boolean(),
  },
  { requiredKeys: ['kind', 'requestId', 'accountId', 'deadlineMs', 'contentType', 'headers', 'redelivered'] },
);

test('the head of an RPC message reads as JSON makes it, whatever the caller sent', () => {
  fc.assert(
    fc.property(fc.array(head, { minLength: 1 }), (heads) => {
      for (const each of heads)
        assert.deepEqual(JSON.parse(headText(each)), JSON.parse(JSON.stringify(each)), JSON.stringify(each));
    }),
  );
});
