/** A folder `static/` in the archive, served under `/static/`. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';

const MAIN = 'export const main = async () => "main";\n';
const DIGITS = '0123456789';
const FILES = {
  'lambda_main.js': MAIN,
  'secret.txt': 'not served',
  'static/index.html': '<h1>Привет</h1>\n',
  'static/app.js': 'document.title = "this is no strict code: " + (010);\n',
  'static/source.ts': 'import missing from "nowhere"; this is no code at all {{{\n',
  'static/data/digits.txt': DIGITS,
  'static/data/a b.json': '{}',
  'static/blob': '\u0000\u0001',
  'static/empty.css': '',
};

let host: TestHost;
let tenant: TestAccount;
let lambdaId: string;
before(async () => {
  host = await startTestHost();
  tenant = await host.account();
  lambdaId = await deploy(tenant.api, FILES);
});
after(() => host?.stop());

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Not by fetch, which would tidy the path up before it is sent. */
function ask(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
  id = lambdaId,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(host.origin);
    request(
      {
        hostname,
        port,
        method,
        path: `/1/lambdas/${id}/proxy${path}`,
        headers: { authorization: `Bearer ${tenant.token}`, ...headers },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(parts).toString(),
          }),
        );
      },
    )
      .on('error', reject)
      .end();
  });
}

describe('static/', () => {
  test('files have their content and its type; code is text, and not bundled', async () => {
    const types = {
      'index.html': 'text/html; charset=utf-8',
      'app.js': 'text/javascript; charset=utf-8',
      'source.ts': 'text/plain; charset=utf-8',
      'data/digits.txt': 'text/plain; charset=utf-8',
      'data/a b.json': 'application/json',
      blob: 'application/octet-stream',
      'empty.css': 'text/css; charset=utf-8',
    };
    for (const [path, type] of Object.entries(types)) {
      const { status, headers, text } = await ask(`/static/${path.replace(' ', '%20')}`);
      assert.equal(status, 200, path);
      assert.equal(headers['content-type'], type);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(text, FILES[`static/${path}` as keyof typeof FILES]);
    }
    assert.equal((await ask('/main', {}, 'POST')).text, '"main"');
  });

  test('bytes come as they are, whatever their number', async () => {
    const files = Object.fromEntries(
      [0, 1, 2, 3, 4, 255, 256].map((n) => [
        `static/${n}`,
        Buffer.from(Array.from({ length: n }, (_, i) => i)),
      ]),
    );
    const id = await deploy(tenant.api, { 'lambda_main.js': MAIN, ...files });
    for (const [path, bytes] of Object.entries(files)) {
      const reply = await fetch(`${host.origin}/1/lambdas/${id}/proxy/${path}`, {
        headers: { authorization: `Bearer ${tenant.token}` },
      });
      assert.deepEqual(Buffer.from(await reply.arrayBuffer()), bytes);
    }
  });

  test('If-None-Match gives 304, for the same content alone', async () => {
    const etag = String((await ask('/static/data/digits.txt')).headers['etag']);
    assert.match(etag, /^"[\w-]{27}"$/);
    for (const condition of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const reply = await ask('/static/data/digits.txt', { 'if-none-match': condition });
      assert.deepEqual([reply.status, reply.text, reply.headers['etag']], [304, '', etag], condition);
    }
    assert.equal((await ask('/static/data/digits.txt', { 'if-none-match': '"x"' })).status, 200);
    assert.notEqual((await ask('/static/index.html')).headers['etag'], etag);
  });

  test('a single range gives 206, one outside 416, and all others the whole', async () => {
    const ranges: Record<string, readonly [number, string, string | undefined]> = {
      'bytes=0-0': [206, '0', 'bytes 0-0/10'],
      'bytes=2-4': [206, '234', 'bytes 2-4/10'],
      'bytes=7-': [206, '789', 'bytes 7-9/10'],
      'bytes=7-9999': [206, '789', 'bytes 7-9/10'],
      'bytes=-3': [206, '789', 'bytes 7-9/10'],
      'bytes=-99': [206, DIGITS, 'bytes 0-9/10'],
      'bytes=10-': [416, '', 'bytes */10'],
      'bytes=10-12': [416, '', 'bytes */10'],
      'bytes=-0': [416, '', 'bytes */10'],
      'bytes=4-2': [200, DIGITS, undefined],
      'bytes=0-1,3-4': [200, DIGITS, undefined],
      'bytes=-': [200, DIGITS, undefined],
      'lines=0-1': [200, DIGITS, undefined],
      'bytes=99999999999999999999-': [200, DIGITS, undefined],
    };
    for (const [range, expected] of Object.entries(ranges)) {
      const { status, text, headers } = await ask('/static/data/digits.txt', { range });
      assert.deepEqual([status, text, headers['content-range']], expected, range);
    }
    const whole = await ask('/static/data/digits.txt', { range: 'bytes=0-1', 'if-range': '"old"' });
    assert.equal(whole.status, 200);
    const etag = String(whole.headers['etag']);
    assert.equal((await ask('/static/data/digits.txt', { range: 'bytes=0-1', 'if-range': etag })).text, '01');
    assert.equal((await ask('/static/empty.css', { range: 'bytes=0-' })).status, 416);
  });

  test('HEAD is GET without the body; other methods are refused', async () => {
    const head = await ask('/static/data/digits.txt', { range: 'bytes=0-1' }, 'HEAD');
    assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '10']);
    assert.equal(head.headers['accept-ranges'], 'bytes');
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const { status, headers } = await ask('/static/data/digits.txt', {}, method);
      assert.deepEqual([status, headers['allow']], [405, 'GET, HEAD, OPTIONS'], method);
    }
    assert.equal((await ask('/static/data/digits.txt', {}, 'OPTIONS')).status, 204);
  });

  test('what is not there is 404, and no spelling leads out of the folder', async () => {
    for (const path of [
      '/static/',
      '/static/none.txt',
      '/static/data',
      '/static/data/',
      '/static/data/digits.txt/',
      '/static//data/digits.txt',
      '/static/Data/digits.txt',
      '/static/../secret.txt',
      '/static/%2e%2e/secret.txt',
      '/static/..%2fsecret.txt',
      '/static/..%5csecret.txt',
      '/static/data%2fdigits.txt',
      '/static/data/../../secret.txt',
      '/static/%252e%252e/secret.txt',
      '/static/%00',
      '/static/%ff',
      '/static/%',
      '/static/__proto__',
      '/static/constructor',
      '/static/static/index.html',
    ]) {
      const { status, text } = await ask(path);
      assert.equal(status, 404, path);
      assert.ok(!text.includes('not served'), path);
    }
    const plain = await deploy(tenant.api, { 'lambda_main.js': MAIN, 'secret.txt': 'not served' });
    assert.equal((await ask('/static/secret.txt', {}, 'GET', plain)).status, 404, 'without the folder');
  });

  test('the files are counted as one path', async () => {
    const { text } = await tenant.api.getLambdaMetrics({ lambdaId });
    assert.match(text, /^request_count_total\{path="\/static\/",status="206"\} \d+$/m);
    assert.ok(!text.includes('digits'));
  });

  test('the folder counts into bundle_bytes, and its replies into reply_bytes', async () => {
    const account = await host.account({ bundle_bytes: 64 * 1024, reply_bytes: 8 * 1024 });
    const id = await deploy(account.api, { 'lambda_main.js': MAIN, 'static/big': 'x'.repeat(16 * 1024) });
    const get = (range?: string): Promise<Response> =>
      fetch(`${host.origin}/1/lambdas/${id}/proxy/static/big`, {
        headers: { authorization: `Bearer ${account.token}`, ...(range === undefined ? {} : { range }) },
      });
    assert.equal((await get()).status, 502);
    assert.equal((await (await get('bytes=0-8191')).text()).length, 8 * 1024);
    await assert.rejects(
      deploy(account.api, { 'lambda_main.js': MAIN, 'static/big': 'x'.repeat(64 * 1024) }),
      /bundle_bytes/,
    );
  });

  test('an added route that reaches into the folder is refused', async () => {
    for (const route of ['/static/<name>', '/static/other', '/<folder>/index.html'])
      await assert.rejects(
        deploy(tenant.api, {
          'lambda_main.js': `import { LambdaUserHandler } from 'lambda-tools';
class H extends LambdaUserHandler { static route = '${route}'; async get() { return 1; } }
export const ROUTES_TO_ADD = [H];
${MAIN}`,
          'static/index.html': '',
        }),
        /where the files of static\/ are served/,
        route,
      );
  });
});
