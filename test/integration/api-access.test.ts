import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { SCOPES, scopeCovers, type Scope } from '../../src/schemas/scopes.ts';
import { deployed, startApiHost, zipOf, type ApiHost, type Operation } from './api-host.ts';

let host: ApiHost;
before(async () => {
  host = await startApiHost({
    api: {
      metrics: async () => ({ status: 200, contentType: 'text/plain', body: 'up 1\n' }),
      lambdaMetrics: async ({ id }) => ({ status: 200, contentType: 'text/plain', body: `of ${id}\n` }),
      lambdaSpec: async () => ({ status: 200, contentType: 'application/json', body: '{"openapi":"3.1.0"}' }),
    },
  });
});
after(() => host.close());

interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation & { readonly description?: string; readonly security?: readonly unknown[] };
  /** From the document: scopes of which one is enough, `operator`, or `public`. */
  readonly access: readonly Scope[] | 'operator' | 'public';
}

/** Every documented route but those into lambdas, which are the gateway's. */
function routes(): Route[] {
  return Object.entries(host.document.paths)
    .filter(([path]) => !path.includes('/proxy/'))
    .flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]): Route => {
        const { description = '', security } = operation as Route['operation'];
        const scopes = (/Needs the scope (.*)\.$/m.exec(description)?.[1] ?? '')
          .split(' or ')
          .map((scope) => scope.replaceAll('`', ''))
          .filter(isScope);
        const access =
          security?.length === 0
            ? 'public'
            : description.includes("operator's token only")
              ? 'operator'
              : scopes;
        assert.ok(access.length > 0, `${method} ${path} says who may use it`);
        return { method: method.toUpperCase(), path, operation, access };
      }),
    );
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
}

async function ask(
  { method, path }: Pick<Route, 'method' | 'path'>,
  ids: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? 'none');
  const response = await fetch(`${host.origin}${filled}`, { method, headers });
  return { status: response.status, body: await response.text(), headers: response.headers };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const code = ({ body }: Answer): unknown => (JSON.parse(body) as { error_code?: unknown }).error_code;

test('without a token every route but the public ones is 401, whatever else is wrong with the request', async () => {
  const all = routes();
  assert.ok(all.length > 30);
  for (const route of all) {
    const answer = await ask(route, {});
    if (route.access === 'public') {
      assert.equal(answer.status, 200, route.path);
      continue;
    }
    assert.deepEqual([answer.status, code(answer)], [401, 43034], `${route.method} ${route.path}`);
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/);
  }
});

test('a token with one scope is 403 at each route that needs another', async () => {
  const { accountId, api } = await host.account();
  const lambdaId = await deployed(api);
  const ids = { lambda_id: lambdaId, account_id: accountId, token_id: randomUUID() };
  for (const scope of SCOPES) {
    const { token } = (await api.createToken(accountId, { scopes: [scope] })).json;
    for (const route of routes()) {
      const allowed =
        route.access === 'public' ||
        (route.access !== 'operator' && route.access.some((needed) => scopeCovers([scope], needed)));
      // Where the scope lets it through, another test says what happens; nothing here may delete the lambda.
      if (allowed) continue;
      const answer = await ask(route, ids, bearer(token));
      assert.deepEqual(
        [answer.status, code(answer)],
        [403, 43035],
        `${scope}: ${route.method} ${route.path}`,
      );
    }
  }
  assert.equal((await api.getLambda({ lambdaId })).json.lambda_id, lambdaId);
});

const isScope = (access: string): access is Scope => (SCOPES as readonly string[]).includes(access);

test("another account's lambda and account answer exactly as those that never were", async () => {
  const victim = await host.account();
  const lambdaId = await deployed(victim.api, { shared: true });
  const { token } = await host.account('admin');
  const others = { lambda_id: lambdaId, account_id: victim.accountId, token_id: randomUUID() };
  const never = { lambda_id: randomUUID(), account_id: randomUUID(), token_id: others.token_id };
  const masked = ({ status, body }: Answer): string =>
    `${status} ${body.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>')}`;
  let compared = 0;
  for (const route of routes()) {
    // Routes that need a body are refused for its lack, before what they name is looked up.
    if (!route.path.includes('{') || !['GET', 'DELETE', 'HEAD'].includes(route.method)) continue;
    const seen = await ask(route, others, bearer(token));
    const unknown = await ask(route, never, bearer(token));
    assert.equal(masked(seen), masked(unknown), `${route.method} ${route.path}`);
    assert.equal(seen.status, route.access === 'operator' ? 403 : 404, `${route.method} ${route.path}`);
    compared += 1;
  }
  assert.ok(compared > 10);
  assert.equal((await victim.api.getLambda({ lambdaId })).statusCode, 200);
});

test('bodies sent to what is another account’s change nothing', async () => {
  const victim = await host.account();
  const lambdaId = await deployed(victim.api, { name: 'mine' });
  const { api } = await host.account();
  const notFound = { statusCode: 404, errorCode: 42001 };
  await assert.rejects(api.patchLambda({ lambdaId, parameters: { name: 'yours' } }), notFound);
  await assert.rejects(api.putConfig({ lambdaId, config: { a: 1 } }), notFound);
  await assert.rejects(api.switchLambda({ lambdaId, alive: false }), notFound);
  await assert.rejects(api.rollbackLambda({ lambdaId, version: 1 }), notFound);
  await assert.rejects(api.updateLambda({ lambdaId, archive: zipOf() }), notFound);
  await assert.rejects(api.createToken(victim.accountId, { scopes: ['admin'] }), {
    statusCode: 404,
    errorCode: 43036,
  });
  const { name, alive, user_config, version } = (await victim.api.getLambda({ lambdaId })).json;
  assert.deepEqual(
    { name, alive, user_config, version },
    { name: 'mine', alive: true, user_config: {}, version: 1 },
  );
});

test("a token with another account's Luna-Account-Id is 403; with its own it is as without", async () => {
  const { accountId, token } = await host.account();
  const other = await host.account();
  await assert.rejects(host.client(token, other.accountId).getLambdas(), {
    statusCode: 403,
    errorCode: 43035,
  });
  assert.equal((await host.client(token, accountId.toUpperCase()).getLambdas()).statusCode, 200);
});

test('the operator acts for the account that it names by header or query, and must name one to create', async () => {
  const { accountId, api } = await host.account();
  const lambdaId = await deployed(host.operator, { name: 'by operator' }, accountId);
  assert.equal((await api.getLambda({ lambdaId })).json.account_id, accountId);
  assert.equal((await host.operator.getLambdas({ accountId })).json.total, 1);
  assert.ok((await host.operator.getLambdas()).json.total >= 1);
  assert.equal((await host.operator.getLambda({ lambdaId })).json.lambda_id, lambdaId);
  const elsewhere = (await host.account()).accountId;
  await assert.rejects(host.operator.getLambda({ lambdaId, accountId: elsewhere }), { statusCode: 404 });

  await assert.rejects(host.operator.createLambda({ archive: zipOf() }), (error: Error) => {
    assert.match(error.message, /for which account\? .*Luna-Account-Id/);
    return true;
  });
  await assert.rejects(host.operator.createLambda({ archive: zipOf(), accountId: randomUUID() }), {
    statusCode: 404,
    errorCode: 43036,
  });
  const operatorToken = await tokenOfOperator();
  const byQuery = await ask({ method: 'GET', path: `/1/lambdas?account_id=${accountId}` }, {}, operatorToken);
  assert.equal((JSON.parse(byQuery.body) as { total: number }).total, 1);
  const both = await ask(
    { method: 'GET', path: `/1/lambdas?account_id=${accountId}` },
    {},
    { ...operatorToken, 'luna-account-id': elsewhere },
  );
  assert.deepEqual([both.status, code(both)], [400, 43033]);
});

/** The operator's client does not show its token: a route echoes what it sent. */
async function tokenOfOperator(): Promise<Record<string, string>> {
  const info = await host.registry.createToken({ accountId: null, scopes: ['admin'] });
  return bearer(info.token);
}

test('the values of the environment are shown to those who may deploy, the archive is given to them alone', async () => {
  const { api, accountId } = await host.account();
  const { lambda_id: lambdaId } = (
    await api.createLambda({ archive: zipOf(), deployParameters: { env: { SECRET: 'hunter2' } } })
  ).json;
  const reader = host.client((await api.createToken(accountId, { scopes: ['read'] })).json.token);
  const deployer = host.client((await api.createToken(accountId, { scopes: ['deploy'] })).json.token);
  const env = async (client: typeof api) => (await client.getLambda({ lambdaId })).json.deploy_parameters.env;
  assert.deepEqual(await env(reader), { SECRET: '[masked]' });
  assert.deepEqual(await env(deployer), { SECRET: 'hunter2' });
  await assert.rejects(reader.getArchive({ lambdaId }), { statusCode: 403 });
  assert.equal((await deployer.getArchive({ lambdaId })).statusCode, 200);
});

test("the host's metrics are the operator's, a lambda's are its owner's", async () => {
  const { api } = await host.account();
  const lambdaId = await deployed(api);
  assert.equal((await host.operator.getMetrics()).text, 'up 1\n');
  assert.equal((await api.getLambdaMetrics({ lambdaId })).text, `of ${lambdaId}\n`);
  assert.deepEqual((await api.getDocsSpec({ lambdaId })).json, { openapi: '3.1.0' });
  await assert.rejects(api.getMetrics(), { statusCode: 403 });
});

test('behind a gateway that is trusted, the header says which account asks', async () => {
  const trusting = await startApiHost({ authMode: 'trusted-header' });
  try {
    const { accountId } = await trusting.account();
    const lambdaId = await deployed(trusting.client(undefined, accountId));
    assert.equal((await trusting.client(undefined, accountId).getLambda({ lambdaId })).statusCode, 200);
    await assert.rejects(trusting.client().getLambdas(), { statusCode: 401 });
    await assert.rejects(trusting.client(undefined, randomUUID()).getLambdas(), { statusCode: 401 });
    await assert.rejects(trusting.client(undefined, accountId).createAccount({ name: 'x' }), {
      statusCode: 403,
    });
  } finally {
    await trusting.close();
  }
});
