import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LambdaUserHandler, UserException } from '../../sandbox/sdk/index.ts';
import {
  createTestRequest,
  invoke,
  type InvokeOptions,
  type TestRequestOptions,
} from '../../sandbox/sdk/testing.ts';
import type { HandlersLambdaRequest, StandaloneLambdaRequest } from '../../sandbox/sdk/core/request.ts';

const main = (look: (request: StandaloneLambdaRequest) => unknown) => ({ main: look });
const run = (
  module: Record<string, unknown>,
  request: TestRequestOptions = {},
  options: InvokeOptions = {},
) => invoke(module, createTestRequest(request), options);

test('headers are found whatever their case, by key and by method', async () => {
  const reply = await run(
    main(({ headers, cookies, contentType }) => [
      headers['X-Thing'],
      headers['x-thing'],
      headers.get('X-THING'),
      headers.get('absent') ?? 'none',
      'x-thing' in headers,
      Object.keys(headers),
      cookies,
      contentType,
    ]),
    { headers: { 'X-Thing': 'v', Cookie: 'a=1; b="two words"; a=3; c=%C3%A9; broken' }, json: 1 },
  );
  assert.deepEqual(reply.json, [
    'v',
    'v',
    'v',
    'none',
    true,
    ['x-thing', 'cookie', 'content-type'],
    { a: '1', b: 'two words', c: 'é' },
    'application/json',
  ]);
});

test('the query has first values by key and all values, decoded', async () => {
  const request = createTestRequest();
  const query = 'a=1&a=2&b=x+y%20z&c&get=evil&%F0%9F%98%80=smile&bad=%ff%41&__proto__=p';
  const reply = await invoke(
    main(({ args, query: all }) => [
      args['a'],
      args.get('a'),
      args.getAll('a'),
      args['b'],
      args['c'],
      args.get('get'),
      args['😀'],
      args['bad'],
      args.get('__proto__'),
      args.get('nope') ?? null,
      Object.keys(all),
    ]),
    { ...request, head: { ...request.head, query } },
  );
  assert.deepEqual(reply.json, [
    '1',
    '1',
    ['1', '2'],
    'x y z',
    '',
    'evil',
    'smile',
    '\ufffdA',
    'p',
    null,
    ['a', 'b', 'c', 'get', '😀', 'bad', '__proto__'],
  ]);
});

test('bytes and text of a body are those that were sent', async () => {
  const reply = await run(
    main((request) => [request.text(), [...request.getBody()]]),
    { body: '\ufeffé😀' },
  );
  assert.deepEqual(reply.json, ['é😀', [...Buffer.from('\ufeffé😀')]]);
});

const standard = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: async (value: unknown) =>
      typeof value === 'object' && value !== null && 'n' in value && typeof value.n === 'number'
        ? { value: { n: value.n * 2 } }
        : { issues: [{ message: 'must be a number', path: ['n'] }] },
  },
};

test('handlers lambdas have checked data and the handler’s id', async () => {
  const module = {
    main: async (request: HandlersLambdaRequest) => [
      request.data,
      await request.getRequestData(standard),
      request.handlerId ?? null,
    ],
  };
  const good = await run(
    module,
    { json: { n: 2 }, headers: { 'Luna-Handler-Id': 'h' } },
    { type: 'handlers' },
  );
  assert.deepEqual(good.json, [{ n: 2 }, { n: 4 }, 'h']);
  const bad = await run(module, { json: { n: 'x' } }, { type: 'handlers' });
  assert.deepEqual([bad.statusCode, bad.failure?.detail], [400, 'request body: n: must be a number']);
});

class Things extends LambdaUserHandler {
  static override route = '/things/<id:int>';
  static seen: unknown[] = [];
  async get(id: number) {
    const { page, pageSize } = this.getPagination();
    return {
      id,
      page,
      pageSize,
      n: this.getQueryParam('n', { validator: Number, default: 7 }),
      account: this.getAccountIdFromHeader(),
    };
  }
  async post(id: number) {
    return this.success({ id, data: await this.loadDataFromJson(standard) }, 201);
  }
  async put() {
    return this.getQueryParam('needed', { required: true });
  }
  async patch() {
    return this.error(409, new Error('taken'));
  }
  async delete() {
    throw class Gone extends UserException {
      static override statusCode = 410;
      static override errorText = 'gone';
    };
  }
}
class Field extends LambdaUserHandler {
  route = '/field';
  async post() {
    return this.sendResponse({ statusCode: 202, body: 'text' });
  }
  async options() {
    return this.sendResponse(200, { headers: { allow: 'custom' } });
  }
}
const ROUTES = { main: () => 'main', ROUTES_TO_ADD: [Things, Field] };

test('added routes: parameters, query, pages, bodies, errors', async () => {
  const got = await run(ROUTES, {
    method: 'GET',
    path: '/things/5',
    query: { page: 2, page_size: 3 },
    accountId: 'acc',
  });
  assert.deepEqual(got.json, { id: 5, page: 2, pageSize: 3, n: 7, account: 'acc' });
  const badPage = await run(ROUTES, { method: 'GET', path: '/things/5', query: { page: 0 } });
  assert.equal(badPage.failure?.kind, 'request_invalid');
  const posted = await run(ROUTES, { path: '/things/5', json: { n: 1 } });
  assert.deepEqual([posted.statusCode, posted.json], [201, { id: 5, data: { n: 2 } }]);
  assert.equal((await run(ROUTES, { path: '/things/5', json: {} })).statusCode, 400);
  assert.equal(
    (await run(ROUTES, { method: 'PUT', path: '/things/5' })).failure?.detail,
    'query parameter "needed" is required',
  );
  const patched = await run(ROUTES, { method: 'PATCH', path: '/things/5' });
  assert.deepEqual([patched.statusCode, patched.json], [409, { detail: 'taken' }]);
  const gone = await run(ROUTES, { method: 'DELETE', path: '/things/5' });
  assert.deepEqual([gone.statusCode, gone.json], [410, { detail: 'gone' }]);
});

test('unknown paths are 404, other methods 405 with Allow; HEAD and OPTIONS are answered', async () => {
  const notFound = await run(ROUTES, { method: 'GET', path: '/nowhere' });
  assert.deepEqual([notFound.statusCode, notFound.failure?.kind], [404, 'route_not_found']);
  const wrong = await run(ROUTES, { method: 'GET', path: '/field' });
  assert.deepEqual([wrong.statusCode, wrong.failure?.allow], [405, 'POST, OPTIONS']);
  assert.equal((await run(ROUTES, { method: 'GET', path: '/main' })).failure?.allow, 'POST, OPTIONS');
  const head = await run(ROUTES, { method: 'HEAD', path: '/things/5' });
  assert.deepEqual([head.statusCode, head.body], [200, '']);
  const options = await run(ROUTES, { method: 'OPTIONS', path: '/things/5' });
  assert.deepEqual(
    [options.statusCode, options.headers.get('allow')],
    [204, 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS'],
  );
  assert.equal((await run(ROUTES, { method: 'OPTIONS', path: '/field' })).headers.get('allow'), 'custom');
  assert.equal((await run(ROUTES, { path: '/field' })).statusCode, 202);
});

test('the default routes: health and the description', async () => {
  assert.deepEqual((await run(ROUTES, { method: 'GET', path: '/healthcheck' })).json, { status: 'ok' });
  const spec = (await run(ROUTES, { method: 'GET', path: '/docs/spec' })).json as {
    openapi: string;
    paths: Record<string, Record<string, { parameters?: unknown }>>;
  };
  assert.equal(spec.openapi, '3.1.0');
  assert.deepEqual(Object.keys(spec.paths), [
    '/main',
    '/healthcheck',
    '/config',
    '/docs/spec',
    '/things/{id}',
    '/field',
  ]);
  assert.deepEqual(spec.paths['/things/{id}']!['get']!.parameters, [
    { name: 'id', in: 'path', required: true, schema: { type: 'integer' } },
  ]);
});

test('clients call their service by manifest, and are null where it is not enabled', async () => {
  const calls: unknown[] = [];
  const module = main(async ({ clients, eventsEnabled, senderEnabled }) => {
    const events = clients.events!;
    const saved = await (events['getEvent'] as (args: object) => Promise<{ json: unknown; ok: boolean }>)({
      id: 'a/b',
      page: [1, 2],
    });
    await events.post('/raw', { body: new Uint8Array([1]), query: { q: 'ü' } });
    return [clients.sender, eventsEnabled, senderEnabled, events.getAddress(), saved.ok, saved.json];
  });
  const reply = await run(
    module,
    {},
    {
      services: {
        events: { address: 'http://e', methods: { getEvent: { method: 'GET', path: '/events/{id}' } } },
      },
      callService: (call) => {
        calls.push([call.method, call.path, call.body]);
        return { status: 200, headers: [], body: '{"a":1}' };
      },
    },
  );
  assert.deepEqual(reply.json, [null, true, false, 'http://e', true, { a: 1 }]);
  assert.deepEqual(calls, [
    ['GET', '/events/a%2Fb?page=1&page=2', undefined],
    ['POST', '/raw?q=%C3%BC', new Uint8Array([1])],
  ]);
});

test('UserCtx, user configuration, deadline and signal are there', async () => {
  const reply = await run(
    {
      UserCtx: class {
        value = 0;
        onStart() {
          this.value = 1;
        }
      },
      main: (request: StandaloneLambdaRequest<{ value: number }>) => [
        request.userCtx.value,
        request.config.userConfig,
        request.deadline instanceof Date,
        request.getRemainingTimeInMillis() > 1_000,
        request.signal.aborted,
      ],
    },
    {},
    { userConfig: { a: 1 } },
  );
  assert.deepEqual(reply.json, [1, { a: 1 }, true, true, false]);
});
