/** What a lambda may do and what becomes of it, beyond the seed's examples: through a real host over HTTP. */
import { Validator } from '@seriousme/openapi-schema-validator';
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { after, before, describe, test } from 'node:test';
import type { LambdaReply } from '../../src/client/index.ts';
import { LambdaStateError } from '../../src/client/errors.ts';
import { fixtureArchive } from '../folder-archive.ts';
import { archiveOf, callMain, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { lineOf } from '../lambda-log.ts';
import { startWitness, type Witness } from '../witness.ts';

const detailOf = (reply: LambdaReply): unknown => (reply.json as { detail?: unknown }).detail;

let host: TestHost;
let tenant: TestAccount;
let witness: Witness;
before(async () => {
  // What a lambda waits for stays open until the test releases it.
  witness = await startWitness((seen, response) => {
    if (seen.url.startsWith('/wait/')) held.set(seen.url, () => void response.end('{}'));
    else response.end('{}');
  });
  host = await startTestHost();
  tenant = await host.account({ egress: [witness.host] });
});
after(async () => {
  await host?.stop();
  await witness?.close();
});
const held = new Map<string, () => void>();

async function fixture(name: string, generation = '', account: TestAccount = tenant): Promise<string> {
  const { lambda_id: lambdaId } = (
    await account.api.createLambda({
      archive: fixtureArchive(`contract/${name}`),
      parameters: { lambda_type: 'standalone' },
      deployParameters: { env: { WITNESS: witness.origin, GENERATION: generation } },
    })
  ).json;
  await account.api.waitUntilRunning(lambdaId);
  return lambdaId;
}

describe('lambda-tools', () => {
  test('the spellings of the seed are the same module', async () => {
    const lambdaId = await fixture('aliases');
    assert.deepEqual((await callMain(tenant.api, lambdaId)).json, {
      logger: true,
      handler: true,
      exception: true,
      task: true,
    });
  });
});

describe('UserCtx', () => {
  test('onShutdown runs on update, after what was in flight', async () => {
    const lambdaId = await fixture('witness', 'old');
    await witness.saw('/start/old');
    const slow = callMain(tenant.api, lambdaId, { waitFor: 'update' });
    await witness.saw('/wait/update');
    await tenant.api.updateLambda({
      lambdaId,
      archive: fixtureArchive('contract/witness'),
      deployParameters: { env: { WITNESS: witness.origin, GENERATION: 'new' } },
    });
    await tenant.api.waitUntilRunning(lambdaId, { version: 2 });
    assert.deepEqual((await callMain(tenant.api, lambdaId)).json, { generation: 'new', calls: 1 });
    assert.ok(
      !witness.seen.some(({ url }) => url.startsWith('/shutdown/old')),
      'it waits for the call in flight',
    );
    held.get('/wait/update')!();
    assert.deepEqual((await slow).json, { generation: 'old', calls: 1 });
    assert.equal((await witness.saw('/shutdown/old')).url, '/shutdown/old/after-1-calls');
  });

  test('onShutdown runs on delete', async () => {
    const lambdaId = await fixture('witness', 'deleted');
    await tenant.api.deleteLambda({ lambdaId });
    await witness.saw('/shutdown/deleted');
  });

  test('onShutdown runs when the lambda is switched off, and onStart when it is called after it was switched on', async () => {
    const lambdaId = await fixture('witness', 'disabled');
    await witness.saw('/start/disabled');
    await tenant.api.switchLambda({ lambdaId, alive: false });
    await witness.saw('/shutdown/disabled');
    assert.equal((await callMain(tenant.api, lambdaId)).statusCode, 409);
    await tenant.api.switchLambda({ lambdaId, alive: true });
    assert.deepEqual((await callMain(tenant.api, lambdaId)).json, { generation: 'disabled', calls: 1 });
    assert.equal(witness.seen.filter(({ url }) => url === '/start/disabled').length, 2);
  });

  test('onShutdown runs when nobody calls for idle_ms, and when the host shuts down', async () => {
    const other = await startTestHost({ flags: { 'sandbox-idle-ms': '300' } });
    try {
      const account = await other.account({ egress: [witness.host] });
      const lambdaId = await fixture('witness', 'idle', account);
      await callMain(account.api, lambdaId);
      await witness.saw('/shutdown/idle/after-1-calls');
      // The next call starts it again; the host's end is the other way out.
      const call = callMain(account.api, lambdaId, { waitFor: 'stop' });
      await witness.saw('/wait/stop');
      const stopped = other.stop();
      held.get('/wait/stop')!();
      assert.deepEqual((await call).json, { generation: 'idle', calls: 1 });
      assert.equal(await stopped, 0);
      assert.equal(witness.seen.filter(({ url }) => url === '/shutdown/idle/after-1-calls').length, 2);
    } finally {
      await other.stop();
    }
  });

  test('a throwing onStart fails the lambda with its message', async () => {
    const archive = archiveOf({
      'lambda_main.ts':
        'export class UserCtx { async onStart() { throw new Error("no database at 10.8.0.1"); } }\nexport async function main(_request: unknown) { return 1; }',
    });
    const { lambda_id: lambdaId } = (await tenant.api.createLambda({ archive })).json;
    await assert.rejects(tenant.api.waitUntilRunning(lambdaId), (error: unknown) => {
      assert.ok(error instanceof LambdaStateError);
      assert.match(error.message, /no database at 10\.8\.0\.1/);
      return true;
    });
    const status = (await tenant.api.getStatus({ lambdaId })).json;
    assert.deepEqual(
      [status.status, /no database at 10\.8\.0\.1/.test(status.detail ?? '')],
      ['failed', true],
    );
    const reply = await callMain(tenant.api, lambdaId);
    assert.equal(reply.statusCode, 503);
    assert.match(String(detailOf(reply)), /no database at 10\.8\.0\.1/);
  });

  test('onStart and onShutdown may be synchronous, and either may be missing', async () => {
    const lambdaId = await deploy(
      tenant.api,
      'export class UserCtx { value = 0; onStart() { this.value = 7; } }\nexport function main(request: any) { return request.userCtx.value; }',
    );
    assert.equal((await callMain(tenant.api, lambdaId)).json, 7);
    await tenant.api.switchLambda({ lambdaId, alive: false });
  });
});

describe('what main gives back', () => {
  let lambdaId: string;
  before(async () => {
    lambdaId = await fixture('results');
  });
  const result = (name: string): Promise<LambdaReply> =>
    tenant.api.proxyLambdaPost({ lambdaId, path: 'main', query: { result: name } });

  test('a plain value is JSON, and undefined is null', async () => {
    const value = await result('value');
    assert.deepEqual([value.statusCode, value.headers.get('content-type')], [200, 'application/json']);
    assert.deepEqual(value.json, { list: [1, 'two', null], nested: { yes: true } });
    assert.deepEqual([(await result('nothing')).statusCode, (await result('nothing')).text], [200, 'null']);
  });

  test('bytes are octet-stream', async () => {
    const reply = await result('bytes');
    assert.deepEqual(
      [reply.statusCode, reply.headers.get('content-type')],
      [200, 'application/octet-stream'],
    );
    assert.deepEqual([...reply.body], [0, 255, 128]);
  });

  test('a Response and a sendResponse keep status, headers and body', async () => {
    const response = await result('response');
    assert.deepEqual(
      [response.statusCode, response.headers.get('content-type'), response.text],
      [202, 'text/html', '<p>hello</p>'],
    );
    const sent = await result('sent');
    assert.deepEqual(
      [sent.statusCode, sent.headers.get('x-made-by'), sent.json],
      [201, 'lambda', { made: 1 }],
    );
    const text = await result('sent-text');
    assert.deepEqual([text.statusCode, text.text], [203, 'plain']);
    assert.match(String(text.headers.get('content-type')), /^text\/plain/);
    assert.deepEqual(
      [(await result('sent-default')).statusCode, (await result('sent-default')).json],
      [200, 1],
    );
  });

  test('json and body at once is an error with the text of the seed', async () => {
    const reply = await result('json-and-body');
    assert.equal(reply.statusCode, 500);
    assert.equal(detailOf(reply), "'json' and 'body' parameters can`t be specified at once");
  });

  test('what JSON can not hold is a 500 that says which part', async () => {
    for (const [name, part] of [
      ['cycle', /below\.again/],
      ['bigint', /numbers/],
      ['function', /function/],
    ] as const) {
      const reply = await result(name);
      assert.equal(reply.statusCode, 500, name);
      assert.match(String(detailOf(reply)), part);
    }
  });

  test('a UserException is its status and text, thrown as class or instance, with static or instance fields', async () => {
    for (const [name, status, detail] of [
      ['throws-class', 409, 'from the class'],
      ['throws-instance', 409, 'from the class'],
      ['throws-fields', 422, 'from the instance'],
      ['throws-with-arguments', 418, 'said when it was thrown'],
    ] as const) {
      const reply = await result(name);
      assert.deepEqual([reply.statusCode, detailOf(reply)], [status, detail], name);
      assert.equal((reply.json as { error_code: number }).error_code, 42004);
    }
  });
});

describe('monitoring', () => {
  test('points are kept with the logs, as structured records of their request', async () => {
    const lambdaId = await deploy(
      tenant.api,
      `import { CustomMonitoringPoint, type StandaloneLambdaRequest } from 'lambda-tools';
export async function main(request: StandaloneLambdaRequest) {
  request.sendToMonitoring([
    new CustomMonitoringPoint({ series: 'faces', tags: { camera: 'a' }, fields: { count: 2, score: 0.5, found: true }, time: 1700000000000 }),
    new CustomMonitoringPoint({ series: 'bodies', fields: { count: 0 }, time: 1 }),
  ]);
  return request.requestId;
}
`,
    );
    const requestId = (await callMain(tenant.api, lambdaId)).json;
    const faces = await lineOf(tenant.api, lambdaId, 'faces');
    assert.deepEqual(
      [faces.request_id, faces.level, faces.fields],
      [
        requestId,
        'info',
        {
          monitoring: {
            series: 'faces',
            tags: { camera: 'a' },
            fields: { count: 2, score: 0.5, found: true },
            time: 1_700_000_000_000,
          },
        },
      ],
    );
    assert.deepEqual((await lineOf(tenant.api, lambdaId, 'bodies')).fields, {
      monitoring: { series: 'bodies', tags: {}, fields: { count: 0 }, time: 1 },
    });
  });
});

describe('routes', () => {
  let lambdaId: string;
  before(async () => {
    lambdaId = await fixture('routes');
  });

  test('each of the methods is called, with the path’s parameters by name in any order', async () => {
    const path = 'things/12/ab';
    const given = { first: 12, second: 'ab', instance: 1 };
    const { api } = tenant;
    assert.deepEqual((await api.proxyLambdaGet({ lambdaId, path })).json, { ...given, method: 'GET' });
    assert.deepEqual((await api.proxyLambdaPost({ lambdaId, path })).json, { ...given, method: 'POST' });
    assert.deepEqual((await api.proxyLambdaPut({ lambdaId, path })).json, { ...given, method: 'PUT' });
    assert.deepEqual((await api.proxyLambdaPatch({ lambdaId, path })).json, { ...given, method: 'PATCH' });
    assert.deepEqual((await api.proxyLambdaDelete({ lambdaId, path })).json, { ...given, method: 'DELETE' });
    const options = await api.proxyLambdaOptions({ lambdaId, path });
    assert.deepEqual(
      [options.headers.get('x-own'), options.json],
      ['options', { options: true, first: 12, second: 'ab' }],
    );
    assert.equal((await api.proxyLambdaHead({ lambdaId, path })).headers.get('x-own'), '12ab');
    // A new instance for each request: none has seen another call.
    assert.equal(((await api.proxyLambdaGet({ lambdaId, path })).json as { instance: number }).instance, 1);
  });

  test('what a route does not match is 404; another method is 405 with Allow; HEAD and OPTIONS are answered by default', async () => {
    const { api } = tenant;
    for (const path of ['things/x/ab', 'things/12/AB', 'things/12', 'nowhere'])
      assert.equal((await api.proxyLambdaGet({ lambdaId, path })).statusCode, 404, path);
    const path = 'only-get';
    const refused = await api.proxyLambdaPost({ lambdaId, path });
    assert.deepEqual([refused.statusCode, refused.headers.get('allow')], [405, 'GET, HEAD, OPTIONS']);
    const options = await api.proxyLambdaOptions({ lambdaId, path });
    assert.deepEqual([options.statusCode, options.headers.get('allow')], [204, 'GET, HEAD, OPTIONS']);
    const head = await api.proxyLambdaHead({ lambdaId, path, query: { name: 'x' } });
    assert.deepEqual([head.statusCode, head.body.length], [200, 0]);
  });

  test('query parameters and pages are read by the handler', async () => {
    const { api } = tenant;
    const path = 'only-get';
    const found = await api.proxyLambdaGet({ lambdaId, path, query: { name: 'x', page: 3, page_size: 20 } });
    assert.deepEqual(found.json, { page: { page: 3, pageSize: 20 }, name: 'x' });
    const missing = await api.proxyLambdaGet({ lambdaId, path });
    assert.deepEqual([missing.statusCode, detailOf(missing)], [400, 'query parameter "name" is required']);
  });

  test('a handler in no list is ignored, with a warning', async () => {
    assert.equal((await tenant.api.proxyLambdaGet({ lambdaId, path: 'forgotten' })).statusCode, 404);
    const { valid, errors, warnings } = (
      await tenant.api.validateLambda({
        archive: fixtureArchive('contract/routes'),
        parameters: { lambda_type: 'standalone' },
      })
    ).json;
    assert.deepEqual([valid, errors], [true, []]);
    assert.deepEqual(
      warnings.map(({ severity, rule, message }) => [severity, rule, /Forgotten/.test(message)]),
      [['warning', 'handler_not_listed', true]],
    );
  });

  test('the default routes are there: healthcheck, main, docs/spec, config', async () => {
    const { api } = tenant;
    assert.deepEqual((await api.proxyLambdaGet({ lambdaId, path: 'healthcheck' })).json, { status: 'ok' });
    assert.equal((await callMain(api, lambdaId)).json, 'main');
    assert.equal((await api.proxyLambdaGet({ lambdaId, path: 'main' })).statusCode, 405);
    assert.deepEqual((await api.proxyLambdaGet({ lambdaId, path: 'config' })).json, {});
    const { paths } = (await api.proxyLambdaGet({ lambdaId, path: 'docs/spec' })).json as { paths: object };
    assert.deepEqual(Object.keys(paths).sort(), [
      '/config',
      '/docs/spec',
      '/healthcheck',
      '/main',
      '/only-get',
      '/things/{first}/{second}',
    ]);
  });

  test('docs/spec describes every route: ids, path parameters, responses and schemas are sound', async () => {
    const { json } = await tenant.api.proxyLambdaGet({ lambdaId, path: 'docs/spec' });
    const verdict = await new Validator().validate(json as Record<string, unknown>);
    assert.deepEqual([verdict.valid, verdict.errors], [true, undefined]);
    const spec = json as Spec;
    assert.match(spec.openapi, /^3\.1\.\d+$/);
    assert.deepEqual(Object.keys(spec.info).sort(), ['description', 'title', 'version']);
    const ids = new Set<string>();
    for (const [path, methods] of Object.entries(spec.paths))
      for (const [method, { operationId, parameters = [], responses }] of Object.entries(methods)) {
        const told = `${method} ${path}`;
        assert.ok(!ids.has(operationId), told);
        ids.add(operationId);
        assert.deepEqual(
          parameters.map(({ name, in: where, required }) => [name, where, required]),
          [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, 'path', true]),
          told,
        );
        for (const { description } of Object.values(responses)) assert.ok(description.length > 0, told);
      }
    assert.deepEqual(Object.keys(spec.paths['/things/{first}/{second}']!).sort(), [
      'delete',
      'get',
      'head',
      'options',
      'patch',
      'post',
      'put',
    ]);
    // Ajv knows the dialect that OpenAPI 3.1 has for schemas; the document is its root, so that references resolve.
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema({ $id: 'spec:', ...spec });
    for (const pointer of schemasIn(spec))
      assert.equal(typeof ajv.compile({ $ref: `spec:#${pointer}` }), 'function', pointer);
    const [first, second] = spec.paths['/things/{first}/{second}']!['get']!.parameters!;
    assert.deepEqual(
      [first!.schema, second!.schema],
      [{ type: 'integer' }, { type: 'string', pattern: '^[a-z]+$' }],
    );
    assert.deepEqual((await tenant.api.getDocsSpec({ lambdaId })).json, json);
  });

  test('a malformed body is a 400 that the lambda never sees', async () => {
    const echo = await deploy(
      tenant.api,
      'export async function main(request: any) { return request.json; }',
    );
    const reply = await tenant.api.proxyLambdaPost({
      lambdaId: echo,
      body: '{"a": ',
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(reply.statusCode, 400);
    assert.match(String(detailOf(reply)), /JSON/);
  });
});

interface Spec {
  readonly openapi: string;
  readonly info: object;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}
interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

/** JSON pointers of all schemas in a document. */
function schemasIn(value: unknown, pointer = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return key === 'schema' ? [encodeURI(at)] : schemasIn(item, at);
  });
}
