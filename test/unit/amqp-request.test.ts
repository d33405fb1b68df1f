import assert from 'node:assert/strict';
import { deepEqual as looselyEqual } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { plainHeaders } from '../../src/gateway/amqp/headers.ts';
import { deadlineOf } from '../../src/gateway/amqp/job.ts';
import { afterRunnerDeath, deliveriesBefore } from '../../src/gateway/amqp/poison.ts';
import { isUndecodable } from '../../src/gateway/amqp/prober.ts';
import { renderFailure, renderReply } from '../../src/gateway/amqp/reply.ts';
import { SlowStart } from '../../src/gateway/amqp/slow-start.ts';
import { queueOptions, refusesTransient } from '../../src/gateway/amqp/topology.ts';
import { failure } from '../../src/protocol/outcome.ts';

const NOW = 1_700_000_000_500;

test("deadline: the lambda's own limit where the message says nothing, or nonsense", () => {
  for (const expiration of [undefined, '', '-1', '1e3', 'soon', '1'.repeat(16), 500, null])
    assert.equal(deadlineOf({ expiration }, NOW, 30_000), NOW + 30_000, String(expiration));
});

test('deadline: expiration counts from the timestamp, rounded in favour of the caller', () => {
  assert.equal(deadlineOf({ expiration: '1000' }, NOW, 30_000), NOW + 1_000);
  assert.equal(
    deadlineOf({ expiration: '1000', timestamp: NOW / 1_000 - 10.5 }, NOW, 30_000),
    NOW - 11_000 + 999 + 1_500,
  );
  // Sent within this very second: it may have been sent at this very moment.
  assert.equal(deadlineOf({ expiration: '1000', timestamp: 1_700_000_000 }, NOW, 30_000), NOW + 1_000);
});

test('deadline: timestamps in milliseconds are taken as such, those of the future as now', () => {
  assert.equal(deadlineOf({ expiration: '1000', timestamp: NOW - 200 }, NOW, 30_000), NOW + 800);
  assert.equal(deadlineOf({ expiration: '1000', timestamp: 1_800_000_000 }, NOW, 30_000), NOW + 1_000);
  assert.equal(deadlineOf({ expiration: '60000', timestamp: 1_700_000_000 }, NOW, 30_000), NOW + 30_000);
  assert.equal(deadlineOf({ timestamp: 1 }, NOW, 30_000), NOW + 30_000);
});

test('headers: on either side of the size limit', () => {
  const headers = { a: 'x'.repeat(100) };
  const exact = 'a'.length + 4 + 100 + 2;
  assert.deepEqual({ ...plainHeaders(headers, exact) }, headers);
  assert.equal(plainHeaders(headers, exact - 1), undefined);
});

test('property: whatever a header table holds, the result is JSON, or it is refused', () => {
  fc.assert(
    fc.property(
      fc.object({ maxDepth: 5, withBigInt: true, withDate: true, withNullPrototype: true }),
      (table) => {
        const plain = plainHeaders(table, 10_000);
        // Loosely: the tables have no prototype, so that no header is mistaken for an inherited member.
        if (plain) looselyEqual(JSON.parse(JSON.stringify(plain)), plain);
      },
    ),
  );
});

test('a reply with a content type that AMQP cannot hold goes as bytes', () => {
  const reply = (contentType: string): string =>
    renderReply(
      {
        kind: 'reply',
        status: 200,
        headers: ['x', 'y', 'content-type', contentType],
        body: Buffer.from('x'),
      },
      'r',
      10,
    ).contentType;
  assert.equal(reply('text/plain'), 'text/plain');
  assert.equal(reply('x'.repeat(255)), 'x'.repeat(255));
  assert.equal(reply('x'.repeat(256)), 'application/octet-stream');
});

test('an error reply names the kind where the failure has no type of its own', () => {
  const { body, error, contentType } = renderFailure(failure('cpu_limit', 'too long'), 'r-1');
  assert.deepEqual(JSON.parse(body.toString()), {
    errorType: 'cpu_limit',
    errorMessage: 'too long',
    requestId: 'r-1',
  });
  assert.equal(error, 'Unhandled');
  assert.equal(contentType, 'application/json');
});

test('poison: twice, the second time alone, is the culprit; never alone is looked at alone', () => {
  assert.equal(afterRunnerDeath('runner_lost', 1, true), 'retry');
  assert.equal(afterRunnerDeath('runner_lost', 2, true), 'bury');
  assert.equal(afterRunnerDeath('runner_lost', 2, false), 'retry_alone');
  assert.equal(afterRunnerDeath('runner_lost', 3, true), 'bury');
  assert.equal(afterRunnerDeath('isolate_lost', 1, true), 'retry');
  assert.equal(afterRunnerDeath('isolate_lost', 2, true), 'answer');
});

test('poison: the delivery count is a number of its own, or none', () => {
  assert.equal(deliveriesBefore(undefined), 0);
  assert.equal(deliveriesBefore({}), 0);
  assert.equal(deliveriesBefore({ 'x-delivery-count': 3 }), 3);
  assert.equal(deliveriesBefore({ 'x-delivery-count': '3' }), 0);
  assert.equal(deliveriesBefore({ 'x-delivery-count': -3 }), 0);
  assert.equal(deliveriesBefore(Object.create({ 'x-delivery-count': 3 }) as Record<string, unknown>), 0);
});

test('poison: errors of the decoder are told from those of the network', () => {
  assert.equal(isUndecodable(new RangeError('Maximum call stack size exceeded')), true);
  assert.equal(isUndecodable(new TypeError('Unexpected type tag "?"')), true);
  assert.equal(isUndecodable(new TypeError('something else')), false);
  assert.equal(isUndecodable(new Error('Unexpected close')), false);
});

test('slow start: one, then twice as many after each success, then no bound', () => {
  const slow = new SlowStart(5);
  assert.equal(slow.limit, Infinity);
  slow.survived();
  assert.equal(slow.limit, Infinity);
  slow.died();
  const limits = [slow.limit];
  for (let i = 0; i < 3; i++) {
    slow.survived();
    limits.push(slow.limit);
  }
  assert.deepEqual(limits, [1, 2, 4, Infinity]);
});

test("queue: each kind's declaration, with and without a dead-letter queue", () => {
  assert.deepEqual(queueOptions({ name: 'q', kind: 'transient' }, false), {
    durable: false,
    autoDelete: true,
    exclusive: false,
  });
  assert.deepEqual(queueOptions({ name: 'q', kind: 'transient' }, true), {
    durable: true,
    autoDelete: false,
    exclusive: false,
    expires: 60_000,
  });
  assert.deepEqual(queueOptions({ name: 'q', kind: 'quorum', deadLetter: 'd' }, false), {
    durable: true,
    autoDelete: false,
    arguments: { 'x-queue-type': 'quorum' },
    deadLetterExchange: '',
    deadLetterRoutingKey: 'd',
  });
  assert.equal(queueOptions({ name: 'q', kind: 'passive' }, false), undefined);
});

test('queue: only the refusal of transient queues is taken for one', () => {
  const error = (code: number, message: string): Error => Object.assign(new Error(message), { code });
  const text =
    'Connection closed: 541 (INTERNAL-ERROR) with message "Feature `transient_nonexcl_queues` is deprecated"';
  assert.equal(refusesTransient(error(541, text)), true);
  assert.equal(refusesTransient(error(541, 'INTERNAL_ERROR')), false);
  assert.equal(refusesTransient(error(406, text)), false);
  assert.equal(refusesTransient(new Error(text)), false);
});
