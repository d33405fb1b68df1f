import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrace } from '../../src/gateway/amqp/trace.ts';
import { formatTraceparent, traceHeaders } from '../../src/telemetry/trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

test('W3C traceparent, with its tracestate', () => {
  assert.deepEqual(parseTrace({ traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'a=1' }), {
    traceId,
    spanId,
    sampled: true,
    state: 'a=1',
  });
  assert.equal(parseTrace({ Traceparent: `00-${traceId}-${spanId}-00` })?.sampled, false);
  // A later version may carry more behind the flags.
  assert.equal(parseTrace({ traceparent: `01-${traceId}-${spanId}-01-more` })?.traceId, traceId);
});

test('Jaeger uber-trace-id: short ids are padded, percent-encoded colons understood, flags are bits', () => {
  assert.deepEqual(parseTrace({ 'uber-trace-id': `${traceId}:${spanId}:0:1` }), {
    traceId,
    spanId,
    sampled: true,
  });
  assert.deepEqual(parseTrace({ 'Uber-Trace-Id': 'ABC%3A1%3A0%3a2' }), {
    traceId: 'abc'.padStart(32, '0'),
    spanId: '1'.padStart(16, '0'),
    sampled: false,
  });
  assert.equal(parseTrace({ 'uber-trace-id': `${traceId}:${spanId}::3` })?.sampled, true);
});

test('X-Amzn-Trace-Id, its parts in any order', () => {
  const root = `1-${traceId.slice(0, 8)}-${traceId.slice(8)}`;
  assert.deepEqual(parseTrace({ 'X-Amzn-Trace-Id': `Root=${root};Parent=${spanId};Sampled=1` }), {
    traceId,
    spanId,
    sampled: true,
  });
  assert.equal(
    parseTrace({ 'x-amzn-trace-id': `Sampled=0; Parent=${spanId}; Lineage=x; Root=${root}` })?.sampled,
    false,
  );
  assert.equal(parseTrace({ 'X-Amzn-Trace-Id': `Root=${root}` }), undefined, 'no caller span to stand below');
});

test('of several, the first in the order W3C, Jaeger, AWS that keeps its rules', () => {
  const other = 'f'.repeat(32);
  assert.equal(
    parseTrace({ 'uber-trace-id': `${other}:1:0:1`, traceparent: `00-${traceId}-${spanId}-01` })?.traceId,
    traceId,
  );
  assert.equal(parseTrace({ 'uber-trace-id': `${other}:1:0:1`, traceparent: 'broken' })?.traceId, other);
});

test('what breaks its rules counts as absent', () => {
  const wrong: Record<string, unknown>[] = [
    {},
    { traceparent: 7 },
    { traceparent: `00-${traceId}-${spanId}` },
    { traceparent: `ff-${traceId}-${spanId}-01` },
    { traceparent: `00-${traceId}-${spanId}-01-more` },
    { traceparent: `00-${'0'.repeat(32)}-${spanId}-01` },
    { traceparent: `00-${traceId}-${'0'.repeat(16)}-01` },
    { traceparent: `00-${traceId.toUpperCase()}-${spanId}-01` },
    { traceparent: `00-${traceId}-${spanId}-01\r\nx: y` },
    { 'uber-trace-id': '0:0:0:1' },
    { 'uber-trace-id': `${traceId}0:${spanId}:0:1` },
    { 'uber-trace-id': Buffer.from('1:1:0:1') },
    { 'X-Amzn-Trace-Id': 'Root=1-0-0;Parent=x' },
    { 'X-Amzn-Trace-Id': ';'.repeat(100_000) },
  ];
  for (const headers of wrong)
    assert.equal(parseTrace(headers), undefined, JSON.stringify(headers).slice(0, 200));
  assert.deepEqual(parseTrace({ traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'x'.repeat(513) }), {
    traceId,
    spanId,
    sampled: true,
  });
});

test('headers carry a trace on, with its state', () => {
  const parent = { traceId, spanId, sampled: false, state: 'a=1' };
  assert.deepEqual(traceHeaders(parent), { traceparent: `00-${traceId}-${spanId}-00`, tracestate: 'a=1' });
  assert.deepEqual(parseTrace(traceHeaders(parent)), parent);
  assert.equal(formatTraceparent({ traceId, spanId, sampled: true }), `00-${traceId}-${spanId}-01`);
});
