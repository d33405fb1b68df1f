import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { LambdaApiError } from '../../src/client/index.ts';
import { IsolambdaError } from '../../src/errors/error.ts';
import { ERRORS, type ErrorName } from '../../src/errors/table.ts';
import { failure } from '../../src/protocol/outcome.ts';
import { deployed, MAIN, startApiHost, zipOf, type ApiHost } from './api-host.ts';

let host: ApiHost;
let token: string;
let accountId: string;
before(async () => {
  host = await startApiHost({
    extend: (app) => {
      app.get('/test/fault', async () => {
        throw new Error('secret of the host at /root/data');
      });
      app.get('/test/retry', async () => {
        throw new IsolambdaError('draining', 'going', { retryAfterMs: 1_200 });
      });
    },
  });
  ({ token, accountId } = await host.account());
});
after(() => host.close());

interface Asked {
  readonly method?: string;
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData;
  readonly headers?: Readonly<Record<string, string>>;
}
interface ErrorAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly error_code: number;
  readonly detail: string;
  readonly link: string;
  readonly problems?: readonly { readonly in: string; readonly at: string; readonly message: string }[];
}

async function ask(path: string, { method = 'GET', body, headers = {} }: Asked = {}): Promise<ErrorAnswer> {
  const response = await fetch(`${host.origin}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  assert.doesNotMatch(text, /\bat .*\.(ts|js):\d+/, 'no stack leaves the host');
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/, `${path}: ${text}`);
  const told = JSON.parse(text) as ErrorAnswer;
  return { ...told, status: response.status, headers: response.headers };
}

function is(answer: ErrorAnswer, name: ErrorName, detail?: RegExp): void {
  const { status, code } = ERRORS[name];
  assert.deepEqual([answer.status, answer.error_code], [status, code], answer.detail);
  assert.equal(answer.link, `/docs/errors#${code}`);
  if (detail) assert.match(answer.detail, detail);
}

const JSON_TYPE = { 'content-type': 'application/json' };
const ZIP_TYPE = { 'content-type': 'application/zip' };

test('an unknown path is 404; a known one with another method is 405 and says which it has', async () => {
  is(await ask('/nowhere'), 'not_found', /\/nowhere/);
  is(await ask('/1/lambdas/'), 'lambda_not_found');
  is(await ask('/docs/static/nothing.css'), 'not_found');
  is(await ask('/1/lambdas', { method: 'DELETE' }), 'http_method_not_allowed', /DELETE \/1\/lambdas/);
  const allow = (await ask('/1/accounts/x/quota', { method: 'DELETE' })).headers.get('allow');
  assert.deepEqual(allow?.split(', ').sort(), ['GET', 'HEAD', 'PUT']);
});

test('a path that can not be decoded or is too long is refused', async () => {
  is(await ask('/1/lambdas/%zz'), 'bad_request');
  is(await ask(`/1/lambdas/${'x'.repeat(65)}`), 'bad_request', /path \/lambda_id/);
  is(await ask(`/1/lambdas/${'x'.repeat(500)}`), 'not_found');
});

test('a query and a body are refused with each problem by its name and place', async () => {
  const query = await ask('/1/lambdas?page=0&page_size=1001&pge=2&status=asleep');
  is(query, 'bad_request', /query: unknown: "pge"/);
  assert.deepEqual(query.problems?.map((problem) => `${problem.in}${problem.at}`).sort(), [
    'query',
    'query/page',
    'query/page_size',
    'query/status',
  ]);
  is(await ask('/1/lambdas?page=1&page=2'), 'bad_request', /query \/page/);
  const lambdaId = await deployed(host.client(token));
  const patch = await ask(`/1/lambdas/${lambdaId}`, {
    method: 'PATCH',
    headers: JSON_TYPE,
    body: '{"name":"","shared":"yes","routes_auth":"none","colour":1}',
  });
  is(patch, 'bad_request', /body: unknown: "colour"/);
  assert.deepEqual(patch.problems?.map(({ at }) => at).sort(), ['', '/name', '/routes_auth', '/shared']);
  is(await ask(`/1/lambdas/${lambdaId}`, { method: 'PATCH', headers: JSON_TYPE, body: '{}' }), 'bad_request');
});

test('what is no JSON, or of another type, is refused', async () => {
  const path = `/1/accounts/${accountId}/tokens`;
  const post = (body: string, headers: Record<string, string>) =>
    ask(path, { method: 'POST', body, headers });
  is(await post('{"scopes":', JSON_TYPE), 'bad_request', /not JSON/);
  is(await post('', JSON_TYPE), 'bad_request', /empty/);
  is(await post('{"__proto__":{"scopes":["admin"]}}', JSON_TYPE), 'bad_request');
  is(
    await post('scopes=admin', { 'content-type': 'application/x-www-form-urlencoded' }),
    'unsupported_media_type',
  );
  is(await post('{}', { 'content-type': 'text/plain' }), 'unsupported_media_type');
  is(await post('{}', { 'content-type': 'nonsense' }), 'unsupported_media_type');
  is(await ask('/1/lambdas', { method: 'POST', body: '{}', headers: JSON_TYPE }), 'unsupported_media_type');
  is(await ask('/1/lambdas', { method: 'POST' }), 'unsupported_media_type');
  is(await post(JSON.stringify({ name: 'x'.repeat(1_100_000) }), JSON_TYPE), 'request_too_large');
});

test('a form is refused that lacks the archive, repeats a part, or holds one that is unknown or no JSON', async () => {
  const zip = new Blob([new Uint8Array(zipOf())]);
  const form = (...parts: (readonly [string, string | Blob])[]): FormData => {
    const made = new FormData();
    for (const [name, value] of parts) made.append(name, value);
    return made;
  };
  const post = (body: FormData) => ask('/1/lambdas', { method: 'POST', body });
  is(await post(form(['parameters', '{}'])), 'bad_request', /"archive" is missing/);
  is(await post(form(['parameters', '{}'], ['parameters', '{}'], ['archive', zip])), 'bad_request', /twice/);
  is(await post(form(['colour', 'blue'], ['archive', zip])), 'bad_request', /unknown part "colour"/);
  is(await post(form(['parameters', '{"a"'], ['archive', zip])), 'bad_request', /parameters: is not JSON/);
  is(
    await post(form(['deploy_parameters', '{"memory_mb":1}'], ['archive', zip])),
    'bad_request',
    /deploy_parameters \/memory_mb/,
  );
  is(await post(form(['archive', zip], ['archive', zip])), 'bad_request');
  is(await post(form(['parameters', 'x'.repeat(1_100_000)], ['archive', zip])), 'bad_request', /larger/);
  is(await post(form(['parameters', '{"user_config":{"__proto__":1}}'], ['archive', zip])), 'bad_request');
  is(
    await post(form(['deploy_parameters', '{"egress":["a b"]}'], ['archive', zip])),
    'bad_request',
    /egress/,
  );
  const cut = await ask('/1/lambdas', {
    method: 'POST',
    body: '--b\r\ncontent-disposition: form-data; name="archive"\r\n\r\nPK',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
  });
  is(cut, 'bad_request');
  is(
    await ask('/1/lambdas', {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'multipart/form-data' },
    }),
    'bad_request',
  );
});

test('an archive of exactly archive_bytes is read, one byte more is not', async () => {
  const tenant = await host.account();
  const zip = zipOf();
  const refuse = { statusCode: 413, errorCode: ERRORS.archive_too_large.code };
  await host.operator.putQuota(tenant.accountId, { archive_bytes: zip.length });
  assert.equal((await tenant.api.createLambda({ archive: zip })).statusCode, 201);
  await host.operator.putQuota(tenant.accountId, { archive_bytes: zip.length - 1 });
  await assert.rejects(tenant.api.createLambda({ archive: zip }), refuse);
  await assert.rejects(tenant.api.validateLambda({ archive: Buffer.alloc(8 * 1024 * 1024) }), refuse);
  const asBody = (body: Uint8Array<ArrayBuffer>) =>
    ask('/1/lambdas', {
      method: 'POST',
      body,
      headers: { ...ZIP_TYPE, authorization: `Bearer ${tenant.token}` },
    });
  is(await asBody(new Uint8Array(zip)), 'archive_too_large');
});

test('a zip body that grows past archive_bytes without saying so is cut off', async () => {
  const tenant = await host.account();
  await host.operator.putQuota(tenant.accountId, { archive_bytes: 1_000 });
  let left = 64;
  const untold = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array(64 * 1024));
      else controller.close();
    },
  });
  const response = await fetch(`${host.origin}/1/lambdas`, {
    method: 'POST',
    headers: { ...ZIP_TYPE, authorization: `Bearer ${tenant.token}` },
    body: untold,
    duplex: 'half',
  });
  assert.equal(response.status, 413);
  assert.equal(((await response.json()) as ErrorAnswer).error_code, ERRORS.archive_too_large.code);
});

test('an archive of a version that is no longer kept is gone', async () => {
  const { api, accountId: owner } = await host.account();
  await host.operator.putQuota(owner, { versions: 1 });
  const lambdaId = await deployed(api);
  await api.updateLambda({ lambdaId, archive: zipOf({ 'lambda_main.ts': `${MAIN}// 2\n` }) });
  await api.waitUntilRunning(lambdaId, { version: 2 });
  const gone = { statusCode: 410, errorCode: ERRORS.archive_gone.code };
  await assert.rejects(api.getArchive({ lambdaId, version: 1 }), gone);
  await assert.rejects(api.rollbackLambda({ lambdaId, version: 1 }), gone);
});

test('a rollback to a version that does not start any more is refused', async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  await api.updateLambda({ lambdaId, archive: zipOf({ 'lambda_main.ts': `${MAIN}// 2\n` }) });
  await api.waitUntilRunning(lambdaId, { version: 2 });
  host.pool.failure = failure('start_failed', 'onStart threw');
  try {
    await assert.rejects(api.rollbackLambda({ lambdaId, version: 1 }), {
      statusCode: 400,
      errorCode: ERRORS.update_failed.code,
    });
  } finally {
    host.pool.failure = undefined;
  }
  assert.equal((await api.getStatus({ lambdaId })).json.version, 2);
});

test('a fault of the host is 500 without its text; the log has it, with the request id', async () => {
  host.faults.length = 0;
  const answer = await ask('/test/fault', { headers: { 'luna-request-id': 'find-me' } });
  is(answer, 'internal');
  assert.equal(answer.headers.get('luna-request-id'), 'find-me');
  assert.doesNotMatch(JSON.stringify(answer), /secret|root/);
  const [fault] = host.faults as { err: Error; request_id: string }[];
  assert.deepEqual([fault?.request_id, fault?.err.message], ['find-me', 'secret of the host at /root/data']);
});

test('Retry-After is whole seconds, rounded up', async () => {
  const answer = await ask('/test/retry');
  is(answer, 'draining');
  assert.equal(answer.headers.get('retry-after'), '2');
});

test('headers over the limit, and what is no HTTP, get an error body of the table', async () => {
  const raw = async (text: string): Promise<string> => {
    const { hostname, port } = new URL(host.origin);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write(text);
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    return answer;
  };
  const large = await raw(`GET /version HTTP/1.1\r\nhost: x\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`);
  assert.match(large, /^HTTP\/1\.1 431 /);
  assert.match(large, new RegExp(`"error_code":${ERRORS.headers_too_large.code}`));
  const garbage = await raw('this is no request\r\n\r\n');
  assert.match(garbage, /^HTTP\/1\.1 400 /);
  assert.match(garbage, new RegExp(`"error_code":${ERRORS.bad_request.code}`));
});

test('wrong tokens are 401, and after many of them the address must wait', async () => {
  const own = await startApiHost();
  try {
    const guess = own.client('wrong');
    let last: LambdaApiError | undefined;
    for (let attempt = 0; attempt < 60 && last?.statusCode !== 429; attempt++)
      await guess.getLambdas().catch((error: unknown) => (last = error as LambdaApiError));
    assert.ok(last instanceof LambdaApiError);
    assert.deepEqual([last.statusCode, last.errorCode], [429, ERRORS.too_many_failures.code]);
    assert.ok((last.retryAfterMs ?? 0) > 0);
    assert.equal((await own.operator.getLambdas()).statusCode, 200, 'a right token is let through');
  } finally {
    await own.close();
  }
});
