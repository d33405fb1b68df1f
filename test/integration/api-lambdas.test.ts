import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { LambdaApiError, LambdaStateError, type LambdaApi } from '../../src/client/index.ts';
import { failure } from '../../src/protocol/outcome.ts';
import { deployed, MAIN, startApiHost, zipOf, type ApiHost } from './api-host.ts';

let host: ApiHost;
before(async () => void (host = await startApiHost()));
after(() => host.close());

const refused = (status: number, code: number, detail?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof LambdaApiError, String(error));
  assert.deepEqual([error.statusCode, error.errorCode], [status, code], error.message);
  if (detail) assert.match(error.detail, detail);
  return true;
};

test('an upload is 201 with its place, and the lambda has what was asked for', async () => {
  const { api, accountId } = await host.account('deploy');
  const reply = await api.createLambda({
    archive: zipOf(),
    parameters: {
      lambda_type: 'standalone',
      name: 'resize',
      description: 'resizes',
      user_config: { quality: 80 },
      shared: true,
      routes_auth: 'public',
      debug_errors: true,
      amqp: true,
    },
    deployParameters: { instances: 2, env: { REGION: 'eu' }, memory_mb: 64, egress: ['api.example.com:443'] },
  });
  assert.equal(reply.statusCode, 201);
  const { lambda_id: lambdaId, version } = reply.json;
  assert.equal(version, 1);
  assert.equal(reply.headers.get('location'), `/1/lambdas/${lambdaId}`);
  await api.waitUntilRunning(lambdaId);

  const lambda = (await api.getLambda({ lambdaId })).json;
  const { name, description, lambda_type, user_config, shared, routes_auth, debug_errors, amqp, status } =
    lambda;
  assert.deepEqual(
    { name, description, lambda_type, user_config, shared, routes_auth, debug_errors, amqp, status },
    {
      name: 'resize',
      description: 'resizes',
      lambda_type: 'standalone',
      user_config: { quality: 80 },
      shared: true,
      routes_auth: 'public',
      debug_errors: true,
      amqp: {},
      status: 'running',
    },
  );
  assert.equal(lambda.account_id, accountId);
  assert.deepEqual(lambda.deploy_parameters, {
    instances: 2,
    env: { REGION: 'eu' },
    egress: ['api.example.com:443'],
    memory_mb: 64,
  });
  assert.deepEqual(lambda.limits.memory_mb, {
    unit: 'MiB',
    about: 'heap of one isolate',
    default: 128,
    ceiling: null,
    quota: null,
    requested: 64,
    in_force: 64,
    used: 0,
  });
  assert.equal(
    'requested' in lambda.limits.lambdas,
    false,
    'an account limit is nothing that a lambda asks for',
  );
});

test('a zip as the whole body, with parameters in the query', async () => {
  const { token, api } = await host.account();
  const query = new URLSearchParams({ parameters: '{"name":"raw"}', deploy_parameters: '{"cpu_ms":50}' });
  const response = await fetch(`${host.origin}/1/lambdas?${query.toString()}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/zip' },
    body: new Uint8Array(zipOf()),
  });
  assert.equal(response.status, 201);
  const { lambda_id: lambdaId } = (await response.json()) as { lambda_id: string };
  const lambda = (await api.getLambda({ lambdaId })).json;
  assert.equal(lambda.name, 'raw');
  assert.equal(lambda.limits.cpu_ms.in_force, 50);
});

test('a form whose JSON parts are files, and whose archive has no file name', async () => {
  const { token } = await host.account();
  const boundary = 'x-boundary';
  const body = Buffer.concat([
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="parameters"; filename="blob"\r\ncontent-type: application/json\r\n\r\n{"name":"form"}\r\n` +
        `--${boundary}\r\ncontent-disposition: form-data; name="archive"\r\n\r\n`,
    ),
    zipOf(),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
  const response = await fetch(`${host.origin}/1/lambdas`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
    },
    body,
  });
  assert.equal(response.status, 201, await response.text());
});

test('lists are filtered, paged and counted, and never hold what is another account’s', async () => {
  const { api } = await host.account();
  await deployed((await host.account()).api, { name: 'beta elsewhere' });
  for (const [name, lambda_type] of [
    ['alpha', 'standalone'],
    ['beta one', 'handlers'],
    ['Beta two', 'standalone'],
  ] as const)
    await deployed(api, { name, lambda_type });
  const all = (await api.getLambdas()).json;
  assert.deepEqual([all.total, all.page, all.page_size], [3, 1, 100]);
  const names = async (filters: Parameters<LambdaApi['getLambdas']>[0]): Promise<string[]> =>
    (await api.getLambdas(filters)).json.items.map(({ name }) => name).sort();
  assert.deepEqual(await names({ name: 'BETA' }), ['Beta two', 'beta one']);
  assert.deepEqual(await names({ name: 'beta', lambdaType: 'standalone' }), ['Beta two']);
  assert.deepEqual(await names({ status: 'failed' }), []);
  assert.deepEqual(await names({ shared: true }), []);
  const second = (await api.getLambdas({ page: 2, pageSize: 2 })).json;
  assert.deepEqual([second.items.length, second.total, second.page, second.page_size], [1, 3, 2, 2]);
  assert.deepEqual((await api.getLambdas({ page: 9 })).json.items, []);
});

test('a patch changes what it names and nothing else', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api, { name: 'before', description: 'stays' });
  const patched = (
    await api.patchLambda({
      lambdaId,
      parameters: { name: 'after', debug_errors: true, deploy_parameters: { timeout_ms: 1_000 } },
    })
  ).json;
  assert.deepEqual(
    [patched.name, patched.description, patched.debug_errors, patched.version],
    ['after', 'stays', true, 1],
  );
  assert.equal(patched.limits.timeout_ms.in_force, 1_000);
  await assert.rejects(
    api.patchLambda({ lambdaId, parameters: { lambda_type: 'rpc' } as never }),
    refused(400, 43033, /unknown: "lambda_type"/),
  );
});

test('the configuration is the JSON object itself, within bounds', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  assert.deepEqual((await api.getConfig({ lambdaId })).json, {});
  const config = { a: [1, { b: null }], 'key with space': 'ü' };
  assert.deepEqual((await api.putConfig({ lambdaId, config })).json, config);
  assert.deepEqual((await api.getConfig({ lambdaId })).json, config);
  assert.deepEqual((await api.getLambda({ lambdaId })).json.user_config, config);

  const text = (bytes: number) => ({ text: 'x'.repeat(bytes - '{"text":""}'.length) });
  const most = 256 * 1024;
  assert.equal((await api.putConfig({ lambdaId, config: text(most) })).statusCode, 200);
  await assert.rejects(
    api.putConfig({ lambdaId, config: text(most + 1) }),
    refused(400, 43033, /262145 bytes/),
  );
  await assert.rejects(api.putConfig({ lambdaId, config: text(5 * most) }), refused(413, 43007));
  const nested = (depth: number): unknown => (depth === 0 ? 1 : { in: nested(depth - 1) });
  assert.equal((await api.putConfig({ lambdaId, config: { in: nested(62) } })).statusCode, 200);
  await assert.rejects(
    api.putConfig({ lambdaId, config: { in: nested(64) } }),
    refused(400, 43033, /nested deeper/),
  );
  await assert.rejects(
    api.putConfig({ lambdaId, config: [] as never }),
    refused(400, 43033, /must be object/),
  );
});

test('an update makes a version, a rollback brings the one before back, each with its archive and build log', async () => {
  const { api } = await host.account();
  const first = zipOf({ 'lambda_main.ts': MAIN });
  const { lambda_id: lambdaId } = (await api.createLambda({ archive: first })).json;
  await api.waitUntilRunning(lambdaId);
  const second = zipOf({ 'lambda_main.ts': `${MAIN}// second\n` });
  const update = await api.updateLambda({ lambdaId, archive: second, deployParameters: { cpu_ms: 20 } });
  assert.deepEqual([update.statusCode, update.json], [200, { lambda_id: lambdaId, version: 2 }]);
  assert.equal((await api.waitUntilRunning(lambdaId, { version: 2 })).version, 2);

  const versions = (await api.getVersions({ lambdaId })).json;
  assert.deepEqual(
    versions.items.map(({ version, active, status }) => [version, active, status]),
    [
      [2, true, 'ready'],
      [1, false, 'ready'],
    ],
  );
  assert.equal((await api.getVersions({ lambdaId, pageSize: 1, page: 2 })).json.items[0]?.version, 1);

  const archive = await api.getArchive({ lambdaId });
  assert.deepEqual(Buffer.from(archive.body), second);
  assert.equal(archive.headers.get('content-type'), 'application/zip');
  assert.equal(archive.headers.get('etag'), `"${versions.items[0]?.archive_sha256}"`);
  assert.match(archive.headers.get('content-disposition') ?? '', /^attachment; filename=".+-2\.zip"$/);
  assert.deepEqual(Buffer.from((await api.getArchive({ lambdaId, version: 1 })).body), first);
  await assert.rejects(api.getArchive({ lambdaId, version: 9 }), refused(404, 43038));

  const build = (await api.getBuild({ lambdaId })).json;
  assert.deepEqual([build.version, build.status, build.problems], [2, 'ready', []]);
  assert.ok(build.log.length > 0 && build.started_at !== null && build.ended_at !== null);
  assert.equal((await api.getBuild({ lambdaId, version: 1 })).json.version, 1);
  await assert.rejects(api.getBuild({ lambdaId, version: 3 }), refused(404, 43038));

  const back = (await api.rollbackLambda({ lambdaId, version: 1 })).json;
  assert.equal(back.lambda_id, lambdaId);
  assert.equal((await api.getStatus({ lambdaId })).json.version, back.version);
  await assert.rejects(api.rollbackLambda({ lambdaId, version: 99 }), refused(404, 43038));
});

test('an update under way is seen in the status, and a second one is refused', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  const gate = Promise.withResolvers<void>();
  host.pool.gate = gate.promise;
  try {
    await api.updateLambda({ lambdaId, archive: zipOf({ 'lambda_main.ts': `${MAIN}// next\n` }) });
    const { status, version, update } = (await api.getStatus({ lambdaId })).json;
    assert.deepEqual([status, version, update], ['running', 1, { version: 2, status: 'starting' }]);
    await assert.rejects(api.updateLambda({ lambdaId, archive: zipOf() }), refused(409, 42011));
  } finally {
    gate.resolve();
    host.pool.gate = Promise.resolve();
  }
  assert.equal((await api.waitUntilRunning(lambdaId, { version: 2 })).version, 2);
});

test('a version that does not start leaves the old one serving; a first one fails with its reason', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  host.pool.failure = failure('start_failed', 'onStart threw: no database');
  try {
    await api.updateLambda({ lambdaId, archive: zipOf({ 'lambda_main.ts': `${MAIN}// bad\n` }) });
    await assert.rejects(api.waitUntilRunning(lambdaId, { version: 2 }), LambdaStateError);
    assert.equal((await api.getStatus({ lambdaId })).json.version, 1);
    assert.equal((await api.getBuild({ lambdaId, version: 2 })).json.status, 'failed');

    const { lambda_id: other } = (await api.createLambda({ archive: zipOf() })).json;
    await assert.rejects(api.waitUntilRunning(other), (error) => {
      assert.ok(error instanceof LambdaStateError);
      assert.equal(error.status, 'failed');
      assert.match(error.detail, /no database/);
      return true;
    });
    assert.match((await api.getLambda({ lambdaId: other })).json.status_detail ?? '', /no database/);
  } finally {
    host.pool.failure = undefined;
  }
});

test('a switch turns a lambda off and on', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  const off = (await api.switchLambda({ lambdaId, alive: false })).json;
  assert.deepEqual([off.alive, off.status], [false, 'disabled']);
  const on = (await api.switchLambda({ lambdaId, alive: true })).json;
  assert.deepEqual([on.alive, on.status], [true, 'running']);
});

test('the status shows each isolate, and no process id', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  host.pool.running = [
    { state: 'running', heapBytes: 3_000_000, cpuMs: 12.5, requests: 7, inFlight: 2, runnerPid: 4711 },
  ];
  try {
    assert.deepEqual((await api.getStatus({ lambdaId })).json.instances, [
      { state: 'running', heap_bytes: 3_000_000, cpu_ms: 12.5, requests: 7, in_flight: 2 },
    ]);
    const { limits } = (await api.getLambda({ lambdaId })).json;
    assert.deepEqual([limits.memory_mb.used, limits.concurrency.used], [3, 2]);
  } finally {
    host.pool.running = [];
  }
});

test('a deleted lambda is gone', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  await api.deleteLambda({ lambdaId });
  await assert.rejects(api.getLambda({ lambdaId }), refused(404, 42001));
  await assert.rejects(api.deleteLambda({ lambdaId }), refused(404, 42001));
  assert.equal((await api.getLambdas()).json.total, 0);
});

test('validate tells errors and warnings with their places, and keeps nothing', async () => {
  const { api } = await host.account();
  const good = (await api.validateLambda({ archive: zipOf() })).json;
  assert.deepEqual([good.valid, good.errors], [true, []]);
  const bad = (
    await api.validateLambda({ archive: zipOf({ 'lambda_main.ts': 'export async function main( {' }) })
  ).json;
  assert.equal(bad.valid, false);
  assert.equal(bad.errors[0]?.file, 'lambda_main.ts');
  assert.equal(bad.errors[0]?.line, 1);
  const none = (await api.validateLambda({ archive: Buffer.from('no zip') })).json;
  assert.equal(none.valid, false);
  assert.equal((await api.getLambdas()).json.total, 0);
});

test('a refused archive says each problem, and nothing of it is kept', async () => {
  const { api } = await host.account();
  await assert.rejects(api.createLambda({ archive: Buffer.from('no zip at all') }), (error) => {
    refused(400, 43030)(error);
    assert.ok((error as LambdaApiError).problems.length > 0);
    return true;
  });
  await assert.rejects(
    api.createLambda({ archive: zipOf({ 'other.ts': MAIN }) }),
    (error) => error instanceof LambdaApiError && error.statusCode === 400 && error.problems.length > 0,
  );
  assert.equal((await api.getLambdas()).json.total, 0);
});
