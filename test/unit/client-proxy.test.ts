import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { LambdaApi, LambdaApiError, type ProxyCall } from '../../src/client/index.ts';
import { json, serve, type Asked } from './client-server.ts';

const ID = '0b9f7c52-2f0c-4a3e-9d0e-6e7e3f6a7c11';

test('each verb goes to the lambda’s path, as the seed’s client spells it', async (t) => {
  const { origin, asked } = await serve(t, json(200, { result: 1 }, { 'lambda-version': '3' }));
  const api = new LambdaApi({ origin, api: 1, token: 'secret' });
  const reply = await api.proxyLambdaPost({
    lambdaId: ID,
    path: 'main',
    accountId: 'account-1',
    body: { a: 1 },
  });
  assert.deepEqual(
    [reply.statusCode, reply.json, reply.headers.get('lambda-version')],
    [200, { result: 1 }, '3'],
  );
  assert.equal(new TextDecoder().decode(reply.body), '{"result":1}');
  for (const verb of ['Get', 'Put', 'Patch', 'Delete', 'Head', 'Options'] as const)
    await api[`proxyLambda${verb}`]({ lambdaId: ID, path: '/parameters/x%20y' });
  await api.proxyLambdaPost({ lambdaId: ID });
  assert.deepEqual(
    asked.map(({ method, url }) => `${method} ${url}`),
    [
      `POST /1/lambdas/${ID}/proxy/main`,
      ...['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'].map(
        (method) => `${method} /1/lambdas/${ID}/proxy/parameters/x%20y`,
      ),
      `POST /1/lambdas/${ID}/proxy/main`,
    ],
  );
  const [first] = asked;
  assert.equal(first?.headers.authorization, 'Bearer secret');
  assert.equal(first?.headers['luna-account-id'], 'account-1');
  assert.equal(asked[1]?.headers['luna-account-id'], undefined);
});

test('bodies go as what they are', async (t) => {
  const { origin, asked } = await serve(t, json(200, null));
  const api = new LambdaApi({ origin });
  const send = async (body: unknown, headers?: Record<string, string>): Promise<Asked> => {
    await api.proxyLambdaPost({ lambdaId: ID, body, ...(headers ? { headers } : {}) });
    return asked.at(-1)!;
  };
  const told = ({ headers, body }: Asked) => [headers['content-type'], body.toString('latin1')];
  assert.deepEqual(told(await send({ a: [1, 'ü'] })), [
    'application/json',
    Buffer.from('{"a":[1,"ü"]}').toString('latin1'),
  ]);
  for (const [value, text] of [
    [null, 'null'],
    [0, '0'],
    [false, 'false'],
    [[1], '[1]'],
  ] as const)
    assert.deepEqual(told(await send(value)), ['application/json', text]);
  assert.deepEqual(told(await send('text')), ['text/plain; charset=utf-8', 'text']);
  assert.deepEqual(told(await send('{}', { 'Content-Type': 'application/json' })), [
    'application/json',
    '{}',
  ]);
  const bytes = new Uint8Array([0, 1, 2, 255, 4]);
  assert.deepEqual(told(await send(bytes.subarray(1, 4))), ['application/octet-stream', '\x01\x02\xff']);
  assert.deepEqual(told(await send(bytes.buffer)), ['application/octet-stream', '\x00\x01\x02\xff\x04']);
  const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(65);
  assert.deepEqual(told(await send(shared)), ['application/octet-stream', 'AA']);
  assert.deepEqual(told(await send(new URLSearchParams({ a: 'b' }))), [
    'application/x-www-form-urlencoded;charset=UTF-8',
    'a=b',
  ]);
  const [type, form] = told(await send(Object.assign(new FormData(), {})));
  assert.match(type!, /^multipart\/form-data; boundary=/);
  assert.ok(form!.length > 0);
  const none = await send(undefined);
  assert.deepEqual([none.headers['content-type'], none.body.length], [undefined, 0]);
});

test('a query may repeat keys, and leaves out what is undefined', async (t) => {
  const { origin, asked } = await serve(t, json(200, null));
  const query = { a: [1, 'b c'], d: true, e: undefined, 'f&': '=' };
  await new LambdaApi({ origin }).proxyLambdaGet({ lambdaId: ID, path: 'x', query });
  assert.equal(asked[0]?.url.split('?')[1], 'a=1&a=b+c&d=true&f%26=%3D');
});

test('an id can not lead out of its path', async (t) => {
  const { origin, asked } = await serve(t, json(200, null));
  await new LambdaApi({ origin }).proxyLambdaGet({ lambdaId: '../../accounts?x=', path: 'main' });
  assert.equal(asked[0]?.url, '/1/lambdas/..%2F..%2Faccounts%3Fx%3D/proxy/main');
});

test('a reply of the lambda is returned whatever its status; on demand it is raised', async (t) => {
  const refusal = {
    error_code: 42004,
    desc: 'Lambda exception',
    detail: 'expected two images',
    link: '/docs/errors#42004',
  };
  const { origin } = await serve(t, json(400, refusal));
  const api = new LambdaApi({ origin });
  const call: ProxyCall = { lambdaId: ID };
  const reply = await api.proxyLambdaPost(call);
  assert.deepEqual([reply.statusCode, reply.ok, reply.json], [400, false, refusal]);
  await assert.rejects(api.proxyLambdaPost({ ...call, raiseError: true }), (error) => {
    assert.ok(error instanceof LambdaApiError);
    assert.deepEqual([error.errorCode, error.statusCode, error.detail], [42004, 400, 'expected two images']);
    return true;
  });
});

test('a redirect of the lambda is its reply, not followed', async (t) => {
  const { origin, asked } = await serve(t, (_asked, response) =>
    response.writeHead(302, { location: '/elsewhere' }).end(),
  );
  const reply = await new LambdaApi({ origin }).proxyLambdaGet({ lambdaId: ID });
  assert.deepEqual([reply.statusCode, reply.headers.get('location'), asked.length], [302, '/elsewhere', 1]);
});

test('a body that is no JSON is there as bytes and text; asking for its json says so', async (t) => {
  const { origin } = await serve(t, ({ url }, response) =>
    response.end(url.endsWith('/empty') ? '' : '\u00e9t\u00e9'),
  );
  const api = new LambdaApi({ origin });
  const reply = await api.proxyLambdaGet({ lambdaId: ID, path: 'text' });
  assert.equal(reply.text, '\u00e9t\u00e9');
  assert.throws(() => reply.json, SyntaxError);
  assert.equal((await api.proxyLambdaGet({ lambdaId: ID, path: 'empty' })).json, undefined);
});

test('calls share connections', async (t) => {
  const { origin, asked } = await serve(t, json(200, null));
  const api = new LambdaApi({ origin });
  for (let call = 0; call < 10; call++) await api.proxyLambdaPost({ lambdaId: ID, body: { call } });
  // `fetch` may open a second one while the first is being handed back.
  assert.ok(new Set(asked.map(({ port }) => port)).size <= 2);
});
