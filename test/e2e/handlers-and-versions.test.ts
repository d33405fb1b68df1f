/** `handlers` lambdas, sharing, and the life of versions: through a real host over HTTP. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { LambdaReply } from '../../src/client/index.ts';
import { LambdaApiError, LambdaStateError } from '../../src/client/errors.ts';
import { archiveOf, callMain, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { lineOf } from '../lambda-log.ts';
import { vendoredArchive } from '../vendored.ts';

let host: TestHost;
let tenant: TestAccount;
let stranger: TestAccount;
before(async () => {
  host = await startTestHost();
  [tenant, stranger] = await Promise.all([host.account(), host.account()]);
});
after(() => host?.stop());

const detailOf = (reply: LambdaReply): string => String((reply.json as { detail?: unknown }).detail);
const answering = (text: string, more = ''): string => `${more}
export async function main(_request: unknown) { return ${JSON.stringify(text)}; }
`;

describe('handlers lambdas', () => {
  const USERS = {
    zod: "import * as z from 'zod';\nconst schema = z.object({ name: z.string(), age: z.number().int() });",
    valibot:
      "import * as v from 'valibot';\nconst schema = v.object({ name: v.string(), age: v.pipe(v.number(), v.integer()) });",
  };
  for (const [library, schema] of Object.entries(USERS))
    test(`have data, handlerId, and getRequestData with a schema of ${library}`, async () => {
      const archive = vendoredArchive(
        {
          'lambda_main.ts': `import type { HandlersLambdaRequest } from 'lambda-tools';
${schema}
export async function main(request: HandlersLambdaRequest) {
  const user = await request.getRequestData(schema);
  return { name: user.name, next: user.age + 1, data: request.data, handler: request.handlerId ?? null };
}
`,
        },
        [library],
      );
      const { lambda_id: lambdaId } = (
        await tenant.api.createLambda({ archive, parameters: { lambda_type: 'handlers' } })
      ).json;
      await tenant.api.waitUntilRunning(lambdaId);
      const handler = randomUUID();
      const body = { name: 'Ada', age: 36 };
      const good = await tenant.api.proxyLambdaPost({
        lambdaId,
        body,
        headers: { 'Luna-Handler-Id': handler },
      });
      assert.deepEqual(good.json, { name: 'Ada', next: 37, data: body, handler });
      assert.equal(((await callMain(tenant.api, lambdaId, body)).json as { handler: unknown }).handler, null);
      const bad = await callMain(tenant.api, lambdaId, { name: 'Ada', age: 'old' });
      assert.equal(bad.statusCode, 400);
      assert.match(detailOf(bad), /^request body: age: /);
    });

  test('take additional routes as standalone ones do', async () => {
    const { lambda_id: lambdaId } = (
      await tenant.api.createLambda({
        archive: archiveOf({
          'lambda_main.ts': `import { LambdaUserHandler, type HandlersLambdaRequest } from 'lambda-tools';
class Echo extends LambdaUserHandler {
  static route = '/echo/<text>';
  async get(text: string) { return this.sendResponse(200, { json: { text } }); }
}
export const ROUTES_TO_ADD = [Echo];
export async function main(request: HandlersLambdaRequest) { return request.data; }
`,
        }),
        parameters: { lambda_type: 'handlers' },
      })
    ).json;
    await tenant.api.waitUntilRunning(lambdaId);
    assert.deepEqual((await tenant.api.proxyLambdaGet({ lambdaId, path: 'echo/hello' })).json, {
      text: 'hello',
    });
  });
});

describe('a shared lambda', () => {
  test('is called by other accounts, which stay unknown to it only in what they may manage', async () => {
    const lambdaId = await deploy(
      tenant.api,
      'export async function main(request: any) { return { asks: request.accountId }; }',
      { shared: true },
    );
    assert.deepEqual((await callMain(stranger.api, lambdaId)).json, { asks: stranger.accountId });
    const manage = [
      () => stranger.api.patchLambda({ lambdaId, parameters: { description: 'mine' } }),
      () => stranger.api.updateLambda({ lambdaId, archive: archiveOf({ 'lambda_main.ts': answering('x') }) }),
      () => stranger.api.switchLambda({ lambdaId, alive: false }),
      () => stranger.api.putConfig({ lambdaId, config: {} }),
      () => stranger.api.rollbackLambda({ lambdaId, version: 1 }),
      () => stranger.api.getLogs({ lambdaId }),
      () => stranger.api.getArchive({ lambdaId }),
      () => stranger.api.deleteLambda({ lambdaId }),
    ];
    for (const call of manage)
      await assert.rejects(
        call,
        (error: unknown) => error instanceof LambdaApiError && error.statusCode === 404,
      );
    // No longer shared, it does not exist for them.
    await tenant.api.patchLambda({ lambdaId, parameters: { shared: false } });
    assert.equal((await callMain(stranger.api, lambdaId)).statusCode, 404);
    assert.equal((await callMain(tenant.api, lambdaId)).statusCode, 200);
  });
});

describe('versions', () => {
  test('an update drops no request: each is answered by the old or the new version, and Lambda-Version says by which', async () => {
    const lambdaId = await deploy(tenant.api, answering('version 1'));
    const stop = new AbortController();
    const answers: { version: string | null; json: unknown; status: number }[] = [];
    const loops = Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted) {
        const reply = await callMain(tenant.api, lambdaId, {});
        answers.push({
          version: reply.headers.get('lambda-version'),
          json: reply.json,
          status: reply.statusCode,
        });
      }
    });
    try {
      for (const version of [2, 3]) {
        const archive = archiveOf({ 'lambda_main.ts': answering(`version ${version}`) });
        assert.equal((await tenant.api.updateLambda({ lambdaId, archive })).json.version, version);
        await tenant.api.waitUntilRunning(lambdaId, { version });
      }
      await tenant.api.rollbackLambda({ lambdaId, version: 1 });
      await tenant.api.waitUntilRunning(lambdaId, { version: 1 });
      const before = answers.length;
      while (answers.length < before + 8) await callMain(tenant.api, lambdaId, {});
    } finally {
      stop.abort();
      await Promise.all(loops);
    }
    assert.deepEqual(
      answers.filter(({ status, json, version }) => status !== 200 || json !== `version ${version}`),
      [],
    );
    assert.deepEqual([...new Set(answers.map(({ version }) => version))].sort(), ['1', '2', '3']);
    assert.equal(answers.at(-1)!.version, '1');
  });

  test('a new version that fails leaves the old one serving, whether it is refused or does not start', async () => {
    const lambdaId = await deploy(tenant.api, answering('good'));
    await assert.rejects(
      tenant.api.updateLambda({
        lambdaId,
        archive: archiveOf({ 'lambda_main.ts': 'export const nothing = 1;' }),
      }),
      (error: unknown) => error instanceof LambdaApiError && error.statusCode === 400,
    );
    const failing = answering('never', 'throw new Error("this module does not load");');
    const { version } = (
      await tenant.api.updateLambda({ lambdaId, archive: archiveOf({ 'lambda_main.ts': failing }) })
    ).json;
    await assert.rejects(tenant.api.waitUntilRunning(lambdaId, { version }), LambdaStateError);
    const reply = await callMain(tenant.api, lambdaId);
    assert.deepEqual([reply.json, reply.headers.get('lambda-version')], ['good', '1']);
    const build = (await tenant.api.getBuild({ lambdaId, version })).json;
    assert.match(JSON.stringify(build.problems), /this module does not load/);
  });

  test('a switch turns the lambda off and on', async () => {
    const lambdaId = await deploy(tenant.api, answering('on'));
    await tenant.api.switchLambda({ lambdaId, alive: false });
    const off = await callMain(tenant.api, lambdaId);
    assert.deepEqual([off.statusCode, (off.json as { error_code: number }).error_code], [409, 43010]);
    await tenant.api.switchLambda({ lambdaId, alive: true });
    assert.equal((await callMain(tenant.api, lambdaId)).json, 'on');
  });

  test('every reply has Luna-Request-Id, given or made, and the lambda and its log have the same', async () => {
    const lambdaId = await deploy(
      tenant.api,
      "import { logger } from 'lambda-tools';\nexport async function main(request: any) { logger.info('called'); return request.requestId; }",
    );
    const given = randomUUID();
    const reply = await tenant.api.proxyLambdaPost({ lambdaId, headers: { 'Luna-Request-Id': given } });
    assert.deepEqual([reply.headers.get('luna-request-id'), reply.json], [given, given]);
    assert.equal((await lineOf(tenant.api, lambdaId, 'called')).request_id, given);
    const made = await callMain(tenant.api, lambdaId);
    assert.match(String(made.headers.get('luna-request-id')), /./);
    assert.equal(made.headers.get('luna-request-id'), made.json);
  });
});

describe('configuration', () => {
  test('PUT config is seen by the next request, without a new version, and /config masks its secrets', async () => {
    const lambdaId = await deploy(
      tenant.api,
      'let calls = 0;\nexport async function main(request: any) { calls += 1; return { calls, quality: request.config.userConfig.quality }; }',
      { user_config: { quality: 1 } },
    );
    assert.deepEqual((await callMain(tenant.api, lambdaId)).json, { calls: 1, quality: 1 });
    const config = {
      quality: 2,
      password: 'p4ssw0rd',
      database: { url: 'postgres://me:hidden@db/x', apiKey: 'k' },
      tokens: ['a', 'b'],
    };
    await tenant.api.putConfig({ lambdaId, config });
    // The same isolate goes on: its count does.
    const reply = await callMain(tenant.api, lambdaId);
    assert.deepEqual([reply.json, reply.headers.get('lambda-version')], [{ calls: 2, quality: 2 }, '1']);
    const shown = await tenant.api.proxyLambdaGet({ lambdaId, path: 'config' });
    assert.deepEqual(shown.json, {
      quality: 2,
      password: '[masked]',
      database: { url: 'postgres://me:[masked]@db/x', apiKey: '[masked]' },
      tokens: '[masked]',
    });
  });
});

describe('stacks', () => {
  test('debug_errors shows the tenant’s file and line; by default they are in the log alone', async () => {
    const files = {
      'lambda_main.ts': `import { divide } from './path/arithmetic';
interface OnlyTypes { readonly a: number }
export async function main(request: any) {
  const given: OnlyTypes = request.json;
  return divide(given.a, 0);
}
`,
      'path/arithmetic.ts': `export type Also = { erased: true };

export function divide(a: number, b: number): number {
  if (b === 0) throw new RangeError('division by zero');
  return a / b;
}
`,
    };
    const lambdaId = await deploy(tenant.api, files);
    const quiet = await callMain(tenant.api, lambdaId, { a: 1 });
    assert.deepEqual([quiet.statusCode, detailOf(quiet)], [500, 'division by zero']);
    assert.doesNotMatch(quiet.text, /arithmetic/);
    const line = await lineOf(tenant.api, lambdaId, /division by zero/);
    assert.match(line.message, /divide \(path\/arithmetic\.ts:4:22\)[^]*main \(lambda_main\.ts:5:10\)/);

    await tenant.api.patchLambda({ lambdaId, parameters: { debug_errors: true } });
    const loud = await callMain(tenant.api, lambdaId, { a: 1 });
    assert.equal(loud.statusCode, 500);
    assert.match(loud.text, /path\/arithmetic\.ts:4:22[^]*lambda_main\.ts:5:10/);
    assert.doesNotMatch(loud.text, /node:|sandbox|\/work|isolated/);
  });
});
