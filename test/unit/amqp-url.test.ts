import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from '../../src/amqp/connection.ts';
import { DEFAULT_AMQP_URL, parseBrokerUrl } from '../../src/amqp/url.ts';
import { maskUrl } from '../../src/config/mask-url.ts';

test('the default URL: local broker, 20 attempts, at most 10 seconds apart, no heartbeat', () => {
  const { hostname, port, username, password, vhost, connectionAttempts, retryDelayMs, heartbeatS } =
    parseBrokerUrl();
  assert.deepEqual(
    { hostname, port, username, password, vhost, connectionAttempts, retryDelayMs, heartbeatS },
    {
      hostname: 'localhost',
      port: 5672,
      username: 'guest',
      password: 'guest',
      vhost: '/',
      connectionAttempts: 20,
      retryDelayMs: 10_000,
      heartbeatS: 0,
    },
  );
  assert.equal(DEFAULT_AMQP_URL, 'amqp://localhost:5672?connection_attempts=20&retry_delay=10&heartbeat=0');
});

test('user, password and vhost are percent-decoded; ports follow the protocol', () => {
  const url = parseBrokerUrl('amqps://us%40er:p%2Fw%3A@[::1]/my%2Fhost');
  assert.equal(url.username, 'us@er');
  assert.equal(url.password, 'p/w:');
  assert.equal(url.vhost, 'my/host');
  assert.equal(url.hostname, '::1');
  assert.equal(url.port, 5671);
  assert.equal(parseBrokerUrl('amqp://host').port, 5672);
  assert.equal(parseBrokerUrl('amqp://host/').vhost, '/');
  assert.equal(parseBrokerUrl('amqp://host/%2F').vhost, '/');
  assert.equal(parseBrokerUrl('amqp://host').heartbeatS, undefined);
});

test('options: fractions of a second, and those of other clients without a meaning here', () => {
  assert.equal(parseBrokerUrl('amqp://h?retry_delay=0.5').retryDelayMs, 500);
  assert.equal(parseBrokerUrl('amqp://h?socket_timeout=2').connectTimeoutMs, 2_000);
  assert.equal(parseBrokerUrl('amqp://h?blocked_connection_timeout=5&locale=en_US').retryDelayMs, 10_000);
});

test('what is wrong is refused, named, and told without the password', () => {
  const wrong: [string, RegExp][] = [
    ['', /not a URL/],
    ['u:secret@host', /neither amqp nor amqps/],
    ['http://u:secret@host', /neither amqp nor amqps/],
    ['amqp://u:secret@', /not a URL|names no host/],
    ['amqp://u:secret@host?conection_attempts=3', /unknown option "conection_attempts"/],
    ['amqp://u:secret@host?connection_attempts=0', /connection_attempts=0 is not a whole number from 1/],
    ['amqp://u:secret@host?connection_attempts=1.5', /whole number/],
    ['amqp://u:secret@host?retry_delay=', /retry_delay= is not/],
    ['amqp://u:secret@host?heartbeat=x', /heartbeat=x/],
    ['amqp://u:secret%zz@host', /broken %-escape/],
  ];
  for (const [url, message] of wrong)
    assert.throws(
      () => parseBrokerUrl(url),
      (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
});

test('masking: no password survives, whatever stands in it; URLs without one stay as they are', () => {
  assert.equal(maskUrl('amqp://user:secret@host:5672/v?x=1'), 'amqp://user:****@host:5672/v?x=1');
  assert.equal(maskUrl('amqp://user:s@e:c/r?e#t@host'), 'amqp://user:****@host');
  assert.equal(maskUrl('could not reach amqps://u:p@h, sorry'), 'could not reach amqps://u:****@h, sorry');
  assert.equal(maskUrl('amqp://:secret@host'), 'amqp://:****@host');
  assert.equal(maskUrl('amqp://localhost:5672'), 'amqp://localhost:5672');
  assert.equal(parseBrokerUrl('amqp://user:secret@host').masked, 'amqp://user:****@host');
});

test('backoff: doubles from 100 ms up to the bound, with jitter over its upper half', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 50].map((failures) => backoffMs(failures, 1_000, () => 1)),
    [100, 200, 400, 800, 1_000],
  );
  assert.equal(
    backoffMs(4, 1_000, () => 0),
    400,
  );
  assert.equal(
    backoffMs(9, 0, () => 1),
    0,
  );
});
