/** What a lambda may reach: service clients and fetch, from the isolate through a real host to a real HTTP server. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LambdaReply } from '../../src/client/index.ts';
import type { Quota } from '../../src/schemas/limits.ts';
import { deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { startWitness, type Witness } from '../witness.ts';

/** Runs an expression of the test's, and tells a rejection as text. */
const PROBE = `import type { StandaloneLambdaRequest } from 'lambda-tools';
const told = async (work: () => unknown) => {
  try { return { value: await work() }; } catch (error: any) { return { error: String(error?.message ?? error), code: error?.code ?? null }; }
};
const WORK: Record<string, (request: any) => unknown> = {
  'named with a path parameter': async (request) => (await request.clients.events.getEvent({ event_id: request.json.id, fields: ['x', 'y'] })).json,
  'three calls': async ({ clients }) => { for (let i = 0; i < 3; i++) await clients.events.get('/events'); },
  'own headers': async ({ clients }) => (await clients.events.post('/events', { json: { a: 1 }, headers: {
    'X-Api-Key': 'forged', 'luna-account-id': '00000000-0000-0000-0000-000000000000', 'Luna-Account-Id': 'forged', host: 'elsewhere', 'x-free': 'mine' } })).status,
  bytes: async ({ clients }) => { const reply = await clients.events.put('/events/raw', { body: new Uint8Array([0, 255]), headers: { 'content-type': 'image/x-raw' } }); return [typeof reply.body, reply.headers.get('x-kind'), [...reply.body]]; },
  failing: async ({ clients }) => { const reply = await clients.events.get('/events/failing'); return [reply.ok, reply.status, reply.json]; },
  slow: ({ clients }) => clients.events.get('/events/slow'),
  oversized: ({ clients }) => clients.events.get('/events/large'),
  broken: ({ clients }) => clients.events.get('/events/broken'),
  'other path': ({ clients }) => clients.events.get('/admin'),
  'other method': ({ clients }) => clients.events.delete('/events'),
  'dots': ({ clients }) => clients.events.get('/events/../admin'),
  'encoded dots': ({ clients }) => clients.events.get('/events/%2e%2e/admin'),
  'another origin': ({ clients }) => clients.events.get('//elsewhere.example/events'),
  states: (request) => ({ sender: request.clients.sender, faces: request.clients.faces, matcher: request.clients.matcher,
    flags: [request.eventsEnabled, request.senderEnabled, request.facesEnabled, request.matcherEnabled],
    seen: JSON.stringify(request.clients.events) + JSON.stringify(Object.getOwnPropertyNames(request.clients.events)) }),
  fetch: async (request) => { const { url, init } = request.json; const reply = await fetch(url, init); return [reply.status, reply.redirected, await reply.text()]; },
  'many fetches': async (request) => { const { url, count } = request.json;
    const all = await Promise.allSettled(Array.from({ length: count }, () => fetch(url)));
    return [all.filter(({ status }) => status === 'fulfilled').length, [...new Set(all.flatMap((one) => one.status === 'rejected' ? [one.reason.message] : []))]]; },
  'aborted fetch': (request) => fetch(request.json.url, { signal: AbortSignal.timeout(50) }),
};
export const main = async (request: StandaloneLambdaRequest) => told(() => WORK[request.args.get('work')!]!(request));
`;

let host: TestHost;
let service: Witness;
let outside: Witness;
let tenant: TestAccount;
let stranger: TestAccount;
/** How many requests the outer server holds open, and how many it ever did. */
let open = 0;
let mostOpen = 0;
const LARGE = 40_000;

before(async () => {
  service = await startWitness(({ url, body, headers }, response) => {
    const path = url.replace('/base', '');
    if (path === '/events/slow') return;
    if (path === '/events/failing')
      response.writeHead(503, { 'content-type': 'application/json' }).end('{"why":"busy"}');
    else if (path === '/events/large') response.end('x'.repeat(LARGE));
    else if (path === '/events/broken')
      response.writeHead(200, { 'content-length': '100' }).end('short', () => response.destroy());
    else if (path === '/events/raw')
      response.writeHead(200, { 'x-kind': String(headers['content-type']) }).end(Buffer.concat([body, body]));
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ url }));
  });
  outside = await startWitness(({ url, method, body }, response) => {
    if (url === '/slow') return;
    if (url === '/large') response.end('x'.repeat(LARGE));
    else if (url === '/here') response.writeHead(302, { location: '/there' }).end();
    else if (url === '/away') response.writeHead(302, { location: `${service.origin}/secret` }).end();
    else if (url === '/counted') {
      mostOpen = Math.max(mostOpen, ++open);
      // Long enough for all that may come at once to be there together.
      setTimeout(() => {
        open -= 1;
        response.end('counted');
      }, 100);
    } else response.end(`${method} ${url} ${body.toString()}`);
  });
  host = await startTestHost({
    config: `
services:
  events:
    address: "${service.origin}/base"
    credentials: { X-Api-Key: the-host-knows }
    timeout_ms: 500
    reply_bytes: 20000
    manifest:
      methods: { getEvent: "GET /events/{event_id}" }
      allow: ["GET /events", "POST /events", "PUT /events"]
  sender: { enabled: false, address: "${service.origin}/sender" }
  faces: { address: "${service.origin}/faces", accounts: ["11111111-1111-4111-8111-111111111111"] }
`,
  });
  const quota: Quota = { egress: [outside.host], fetches: 12, fetch_concurrency: 3, fetch_bytes: 30_000 };
  [tenant, stranger] = await Promise.all([host.account(quota), host.account()]);
});
after(async () => {
  await host?.stop();
  await service?.close();
  await outside?.close();
});

interface Told {
  readonly value?: unknown;
  readonly error?: string;
  readonly code?: string | null;
}

const run = async (lambdaId: string, work: string, body: object = {}, account = tenant): Promise<Told> => {
  const reply: LambdaReply = await account.api.proxyLambdaPost({
    lambdaId,
    query: { work },
    body,
  });
  assert.equal(reply.statusCode, 200, reply.text);
  return reply.json as Told;
};

describe('service clients', () => {
  let lambdaId: string;
  before(async () => {
    lambdaId = await deploy(tenant.api, PROBE);
  });

  test('named methods fill the path and send the rest as query', async () => {
    assert.deepEqual(await run(lambdaId, 'named with a path parameter', { id: 'a b?&' }), {
      value: { url: '/base/events/a%20b%3F%26?fields=x&fields=y' },
    });
    // A slash in a value may become a path of its own behind the service's edge.
    const slash = await run(lambdaId, 'named with a path parameter', { id: '../admin' });
    assert.deepEqual([slash.code, /encoded slash/.test(slash.error!)], ['url', true]);
  });

  test('calls share a connection that is kept alive', async () => {
    await run(lambdaId, 'three calls');
    const before = service.connections();
    await run(lambdaId, 'three calls');
    assert.equal(service.connections(), before);
  });

  test('account and credentials are the host’s, whatever the lambda sends', async () => {
    assert.deepEqual(await run(lambdaId, 'own headers'), { value: 200 });
    const { headers, url } = service.seen.findLast(({ method }) => method === 'POST')!;
    assert.equal(url, '/base/events');
    assert.deepEqual(
      [
        headers['luna-account-id'],
        headers['x-api-key'],
        headers['x-free'],
        headers['content-type'],
        headers.host,
      ],
      [tenant.accountId, 'the-host-knows', 'mine', 'application/json', service.host],
    );
  });

  test('bytes go and come unchanged', async () => {
    assert.deepEqual((await run(lambdaId, 'bytes')).value, ['object', 'image/x-raw', [0, 255, 0, 255]]);
  });

  test('a failing service is an answer; one that is slow, too large or broken is an error with its reason', async () => {
    assert.deepEqual((await run(lambdaId, 'failing')).value, [false, 503, { why: 'busy' }]);
    assert.deepEqual(await run(lambdaId, 'slow'), {
      error: 'events: no reply within 500 ms',
      code: 'timeout',
    });
    assert.deepEqual(await run(lambdaId, 'oversized'), {
      error: 'events: the reply has more than 20000 bytes',
      code: 'too_large',
    });
    const broken = await run(lambdaId, 'broken');
    assert.equal(broken.code, 'network');
    assert.doesNotMatch(broken.error!, /127\.0\.0\.1/);
  });

  test('what the manifest does not name is refused, and never sent', async () => {
    const before = service.seen.length;
    for (const work of ['other path', 'other method', 'dots'])
      assert.equal((await run(lambdaId, work)).code, 'manifest', work);
    for (const work of ['encoded dots', 'another origin'])
      assert.equal((await run(lambdaId, work)).code, 'url', work);
    assert.equal(service.seen.length, before);
  });

  test('a service that is disabled, or not for this account, is null and its flag false; credentials are nowhere', async () => {
    const { sender, faces, matcher, flags, seen } = (await run(lambdaId, 'states')).value as Record<
      string,
      unknown
    >;
    assert.deepEqual([sender, faces, matcher, flags], [null, null, null, [true, false, false, false]]);
    assert.doesNotMatch(String(seen), /the-host-knows|api-key/i);
  });
});

describe('fetch', () => {
  let lambdaId: string;
  before(async () => {
    lambdaId = await deploy(tenant.api, PROBE);
  });

  test('an allowed request is sent, and its reply comes back', async () => {
    const init = { method: 'POST', body: 'sent', headers: { 'x-mine': 'yes' } };
    const { value } = await run(lambdaId, 'fetch', { url: `${outside.origin}/plain`, init });
    assert.deepEqual(value, [200, false, 'POST /plain sent']);
    assert.equal(outside.seen.findLast(({ url }) => url === '/plain')!.headers['x-mine'], 'yes');
  });

  test('what is on no list is refused, and never sent: other ports, other hosts, other spellings, other schemes', async () => {
    const before = service.seen.length;
    const port = new URL(outside.origin).port;
    for (const url of [
      `${service.origin}/x`,
      `http://2130706433:${new URL(service.origin).port}/x`,
      `http://localhost:${new URL(service.origin).port}/x`,
      'http://example.com/',
      `http://[::1]:${port}/x`,
      'file:///etc/passwd',
    ])
      assert.equal((await run(lambdaId, 'fetch', { url })).value, undefined, url);
    assert.match(
      (await run(lambdaId, 'fetch', { url: service.origin })).error!,
      /not on the list of destinations \(egress\)/,
    );
    assert.equal(service.seen.length, before);
  });

  test('an account without egress reaches nothing, until the operator sets it', async () => {
    const own = await deploy(stranger.api, PROBE);
    const call = (): Promise<Told> => run(own, 'fetch', { url: `${outside.origin}/plain` }, stranger);
    assert.match((await call()).error!, /egress/);
    await assert.rejects(stranger.api.putQuota(stranger.accountId, { egress: [outside.host] }), /Forbidden/);
    await host.operator.putQuota(stranger.accountId, { egress: [outside.host] });
    assert.deepEqual((await call()).value, [200, false, 'GET /plain ']);
    await host.operator.putQuota(stranger.accountId, {});
    assert.match((await call()).error!, /egress/);
  });

  test('deploy_parameters narrow the list for one lambda', async () => {
    const narrow = await deploy(tenant.api, PROBE, {}, { egress: ['example.com'] });
    assert.match((await run(narrow, 'fetch', { url: `${outside.origin}/plain` })).error!, /egress/);
    const wide = await deploy(tenant.api, PROBE, {}, { egress: [outside.host, service.host] });
    assert.deepEqual((await run(wide, 'fetch', { url: `${outside.origin}/plain` })).value, [
      200,
      false,
      'GET /plain ',
    ]);
    // The account's list does not hold it, so the lambda's can't add it.
    assert.match((await run(wide, 'fetch', { url: `${service.origin}/x` })).error!, /egress/);
  });

  test('redirects are followed, and each is checked again', async () => {
    const { value } = await run(lambdaId, 'fetch', { url: `${outside.origin}/here` });
    assert.deepEqual(value, [200, true, 'GET /there ']);
    const before = service.seen.length;
    assert.match((await run(lambdaId, 'fetch', { url: `${outside.origin}/away` })).error!, /egress/);
    assert.equal(service.seen.length, before);
    const manual = await run(lambdaId, 'fetch', {
      url: `${outside.origin}/here`,
      init: { redirect: 'manual' },
    });
    assert.equal((manual.value as unknown[])[0], 302);
    assert.match(
      (await run(lambdaId, 'fetch', { url: `${outside.origin}/here`, init: { redirect: 'error' } })).error!,
      /redirect/,
    );
  });

  test('one invocation makes `fetches` requests, `fetch_concurrency` at once, and the next one may again', async () => {
    const before = outside.seen.filter(({ url }) => url === '/counted').length;
    for (let i = 1; i <= 2; i++) {
      const { value } = await run(lambdaId, 'many fetches', { url: `${outside.origin}/counted`, count: 15 });
      assert.deepEqual(value, [12, ['more than 12 outward requests in one invocation (fetches)']]);
    }
    assert.equal(outside.seen.filter(({ url }) => url === '/counted').length, before + 24);
    assert.equal(mostOpen, 3);
  });

  test('a reply past fetch_bytes is refused; a fetch can be aborted', async () => {
    assert.match(
      (await run(lambdaId, 'fetch', { url: `${outside.origin}/large` })).error!,
      /30000 bytes \(fetch_bytes\)/,
    );
    assert.match(
      (await run(lambdaId, 'aborted fetch', { url: `${outside.origin}/slow` })).error!,
      /timed? ?out|timeout/i,
    );
  });
});
