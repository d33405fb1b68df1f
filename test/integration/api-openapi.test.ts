import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { Compile } from 'typebox/compile';
import { LambdaApi } from '../../src/client/index.ts';
import { ERROR_NAMES, ERRORS } from '../../src/errors/table.ts';
import { COMPONENTS } from '../../src/schemas/index.ts';
import { startApiHost, type ApiHost, type Operation } from './api-host.ts';

let host: ApiHost;
before(async () => {
  const text = { status: 200, contentType: 'text/plain', body: '' };
  host = await startApiHost({
    api: { metrics: async () => text, lambdaMetrics: async () => text, lambdaSpec: async () => text },
  });
});
after(() => host.close());

const operations = (): { path: string; method: string; operation: Operation }[] =>
  Object.entries(host.document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test('every operation has an id of its own, a summary, a known tag, and its path parameters', () => {
  const { tags } = host.document as unknown as { tags: { name: string }[] };
  const ids = new Set<string>();
  for (const { path, method, operation } of operations()) {
    const told = `${method} ${path}`;
    assert.ok(operation.operationId && !ids.has(operation.operationId), `${told}: ${operation.operationId}`);
    ids.add(operation.operationId);
    assert.ok(operation.summary, told);
    for (const tag of operation.tags)
      assert.ok(
        tags.some(({ name }) => name === tag),
        `${told}: ${tag}`,
      );
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
    assert.deepEqual(declared.map(({ name }) => name).sort(), inPath, told);
    assert.ok(
      declared.every(({ required }) => required === true),
      told,
    );
    assert.ok(
      Object.values(operation.responses).every(({ description }) => description.length > 1),
      told,
    );
  }
  assert.ok(ids.size >= 37, `${ids.size} operations`);
});

test('the client has a method for every operation', () => {
  const missing = operations()
    .map(({ operation }) => operation.operationId)
    .filter((id) => !(id in LambdaApi.prototype));
  assert.deepEqual(missing, []);
});

test('every reference leads somewhere, and every schema can be compiled', () => {
  const { schemas } = host.document.components;
  assert.deepEqual(
    Object.keys(schemas).sort(),
    COMPONENTS.map((schema) => (schema as { $id?: string }).$id).sort(),
  );
  const references = [...JSON.stringify(host.document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to!);
  assert.ok(references.length > 100);
  for (const to of references)
    assert.ok(to.startsWith('#/components/schemas/') && to.slice(21) in schemas, `${to} leads nowhere`);
  for (const name of Object.keys(schemas))
    Compile({ $ref: `#/components/schemas/${name}`, components: host.document.components }).Check({});
});

test('every error of the table that a reply mentions exists, with that status', () => {
  const known = new Set(ERROR_NAMES.map((name) => `${ERRORS[name].status} ${ERRORS[name].code}`));
  let mentioned = 0;
  for (const { path, method, operation } of operations())
    for (const [status, { description }] of Object.entries(operation.responses))
      for (const [, code] of description.matchAll(/`(\d{5})`/g)) {
        assert.ok(known.has(`${status} ${code}`), `${method} ${path}: ${status} ${code}`);
        mentioned += 1;
      }
  assert.ok(mentioned > 100);
});

test('an upload is documented as a form and as a zip', () => {
  const content = host.document.paths['/1/lambdas']?.post?.requestBody?.content;
  assert.deepEqual(Object.keys(content ?? {}), ['multipart/form-data', 'application/zip']);
});

test('the pages come from this host alone', async () => {
  const page = await (await fetch(`${host.origin}/docs/`)).text();
  const sources = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source!);
  assert.ok(sources.length >= 4);
  for (const source of sources) {
    assert.doesNotMatch(source, /^(https?:)?\/\//);
    const response = await fetch(new URL(source, `${host.origin}/docs/`));
    assert.equal(response.status, 200, source);
    await response.arrayBuffer();
  }
});

test('pages load nothing from elsewhere, stand in no frame, and do not ask a host without TLS for TLS', async () => {
  for (const path of ['/docs/', '/docs/static/swagger-ui.css', '/docs/errors']) {
    const { headers } = await fetch(`${host.origin}${path}`);
    const policy = headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src '(self|none)'/, path);
    assert.doesNotMatch(policy, /https?:|upgrade-insecure-requests/, path);
    assert.equal(headers.get('x-frame-options'), 'DENY', path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(headers.get('strict-transport-security'), null, path);
  }
  const { headers } = await fetch(`${host.origin}/version`);
  assert.equal(headers.get('content-security-policy'), null);
});

test('the link of each error leads to its row', async () => {
  const response = await fetch(`${host.origin}/docs/errors`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
  const page = await response.text();
  for (const name of ERROR_NAMES) {
    assert.ok(page.includes(`id="${ERRORS[name].code}"`), name);
    assert.ok(page.includes(`<code>${name}</code>`), name);
  }
});

test('the version, the health and the readiness are told without a token', async () => {
  const anybody = host.client();
  assert.deepEqual((await anybody.getVersion()).json, { version: '0.0.0-test', api: 1 });
  assert.deepEqual((await anybody.getHealth()).json, { status: 'ok' });
  assert.deepEqual((await anybody.getReadiness()).json.ready, true);
});

test('a host with a failing check is not ready', async () => {
  const own = await startApiHost({
    api: {
      readiness: async () => ({
        store: { ok: true, detail: 'open' },
        serving: { ok: false, detail: 'the host is shutting down' },
      }),
    },
  });
  try {
    const reply = await own.client().getReadiness();
    assert.equal(reply.statusCode, 503);
    assert.deepEqual([reply.json.ready, reply.json.checks.serving?.ok], [false, false]);
  } finally {
    await own.close();
  }
});
