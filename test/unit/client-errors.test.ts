import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import {
  LambdaApi,
  LambdaApiError,
  LambdaConnectionError,
  LambdaTimeoutError,
} from '../../src/client/index.ts';
import { json, serve } from './client-server.ts';

const refusalOf = async (call: Promise<unknown>): Promise<LambdaApiError> => {
  const error: unknown = await call.then(
    () => assert.fail('the call went through'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof LambdaApiError, String(error));
  return error;
};

test('a refusal holds all that the error body and the headers say', async (t) => {
  const body = {
    error_code: 43004,
    desc: 'Rate limit exceeded',
    detail: 'more than 5 per second',
    link: '/docs/errors#43004',
    problems: [{ rule: 'x' }],
  };
  const { origin } = await serve(t, json(429, body, { 'retry-after': '2', 'luna-request-id': 'r-1' }));
  const error = await refusalOf(new LambdaApi({ origin }).getLambdas());
  const { statusCode, errorCode, desc, detail, link, problems, retryAfterMs, requestId, message } = error;
  assert.deepEqual(
    { statusCode, errorCode, desc, detail, link, problems, retryAfterMs, requestId, message },
    {
      statusCode: 429,
      errorCode: 43004,
      desc: 'Rate limit exceeded',
      detail: 'more than 5 per second',
      link: `${origin}/docs/errors#43004`,
      problems: [{ rule: 'x' }],
      retryAfterMs: 2_000,
      requestId: 'r-1',
      message: 'Rate limit exceeded: more than 5 per second',
    },
  );
});

test('Retry-After may be a date; nonsense is none', async (t) => {
  const { origin } = await serve(t, ({ url }, response) => {
    const when = url.includes('page=1') ? new Date(Date.now() + 60_000).toUTCString() : 'soon';
    response.writeHead(503, { 'retry-after': when }).end();
  });
  const api = new LambdaApi({ origin });
  const dated = await refusalOf(api.getLambdas({ page: 1 }));
  assert.ok(dated.retryAfterMs! > 50_000 && dated.retryAfterMs! <= 60_000, String(dated.retryAfterMs));
  assert.equal((await refusalOf(api.getLambdas())).retryAfterMs, undefined);
});

test('a refusal by something in between, without the error body, is told by its status', async (t) => {
  const bodies = ['<html>Bad gateway</html>', '', '{"error_code":"none"}', '[]', 'null'];
  const { origin } = await serve(t, (_asked, response) => response.writeHead(502).end(bodies.pop()));
  const api = new LambdaApi({ origin });
  for (let left = bodies.length; left > 0; left--) {
    const { statusCode, errorCode, desc, detail, link, problems } = await refusalOf(api.getLambdas());
    assert.deepEqual(
      [statusCode, errorCode, desc, detail, link, problems],
      [502, 0, 'HTTP 502', '', undefined, []],
    );
  }
});

test('a host that is not there is a connection error that names it and the reason', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  await assert.rejects(new LambdaApi({ origin: `http://127.0.0.1:${port}` }).getVersion(), (error) => {
    assert.ok(error instanceof LambdaConnectionError);
    assert.match(error.message, new RegExp(`GET http://127.0.0.1:${port}/version: .*ECONNREFUSED`));
    return true;
  });
});

test('a connection that breaks within the reply is a connection error', async (t) => {
  const { origin } = await serve(t, (_asked, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  });
  await assert.rejects(new LambdaApi({ origin }).getVersion(), LambdaConnectionError);
});

test('no reply in time is a timeout, whether nothing came or only half', async (t) => {
  const { origin } = await serve(t, ({ url }, response) => {
    if (url === '/healthcheck') response.writeHead(200).write('{');
  });
  const api = new LambdaApi({ origin, timeoutMs: 50 });
  for (const call of [() => api.getVersion(), () => api.getHealth(), () => api.getLambdas({ timeoutMs: 20 })])
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof LambdaTimeoutError, String(error));
      assert.match(error.message, /no reply within (50|20) ms/);
      return true;
    });
});

test('an aborted call rejects with the reason of its signal', async (t) => {
  const { origin } = await serve(t, () => undefined);
  const reason = new Error('the user left');
  const aborter = new AbortController();
  const call = new LambdaApi({ origin }).getVersion({ signal: aborter.signal });
  aborter.abort(reason);
  await assert.rejects(call, reason);
  await assert.rejects(new LambdaApi({ origin }).getVersion({ signal: AbortSignal.abort(reason) }), reason);
});

test('an origin that is none, and another version of the API, are refused at once', () => {
  for (const origin of ['', 'localhost:8080', 'ftp://x', 'nonsense'])
    assert.throws(() => new LambdaApi({ origin }), TypeError, origin);
  assert.throws(() => new LambdaApi({ origin: 'http://x', api: 2 as never }), /speaks version 1/);
});

test('a path prefix of the origin is kept', async (t) => {
  const { origin, asked } = await serve(t, json(200, { version: '1', api: 1 }));
  const api = new LambdaApi({ origin: `${origin}/behind/gateway/` });
  await api.getVersion();
  assert.deepEqual([asked[0]?.url, api.origin], ['/behind/gateway/version', `${origin}/behind/gateway`]);
});

test('a token that can be none is refused at once, and is not told', () => {
  for (const token of ['', 'a b', 'secret\r\nx: y', 'gehe\u00efm'])
    assert.throws(
      () => new LambdaApi({ origin: 'http://x', token }),
      (error) => error instanceof TypeError && (token === '' || !error.message.includes(token)),
    );
});
