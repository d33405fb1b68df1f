import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import type { BridgeCall } from '../../src/protocol/messages.ts';
import type { BridgeAnswer } from '../../src/services/answer.ts';
import { createEgress, type Lookup } from '../../src/services/egress/fetch.ts';
import { compileEgressPolicy } from '../../src/services/egress/rules.ts';

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const egress = createEgress();
after(() => egress.close());

function fetchWith(
  rules: string[],
  call: Omit<BridgeCall, 'bridge' | 'invocation'>,
  more: { body?: string; replyBytes?: number; signal?: AbortSignal } = {},
): Promise<BridgeAnswer> {
  return egress.fetch({
    policy: compileEgressPolicy([rules]),
    call: { bridge: 'fetch', invocation: 1, ...call },
    body: Buffer.from(more.body ?? ''),
    replyBytes: more.replyBytes ?? 1_000_000,
    signal: more.signal ?? new AbortController().signal,
  });
}
const codeOf = ({ reply }: BridgeAnswer): string => (reply.ok ? String(reply.status) : reply.code);
const textOf = ({ body }: BridgeAnswer): string => Buffer.from(body).toString();

test('an allowed request goes out with its method, headers and body, and the reply comes back', async () => {
  const port = await serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(201, { 'x-seen': String(request.headers['x-mine']), 'set-cookie': ['a=1', 'b=2'] });
      response.end(
        `${request.method} ${request.url} ${Buffer.concat(chunks).toString()} host=${request.headers.host}`,
      );
    });
  });
  const answer = await fetchWith(
    [`127.0.0.1:${port}`],
    {
      url: `http://127.0.0.1:${port}/p?q=1`,
      method: 'POST',
      headers: ['x-mine', 'yes', 'host', 'evil.example'],
    },
    { body: 'hello' },
  );
  assert.ok(answer.reply.ok);
  assert.equal(answer.reply.status, 201);
  assert.equal(textOf(answer), `POST /p?q=1 hello host=127.0.0.1:${port}`);
  assert.equal(answer.reply.headers.filter((item) => item === 'set-cookie').length, 2);
  assert.ok(answer.reply.headers.includes('yes'));
});

test('spellings of loopback are all the same address, and refused unless it is named', async () => {
  const port = await serve((_request, response) => response.end('reached'));
  for (const host of [
    '127.0.0.1',
    'localhost',
    '0x7f.1',
    '2130706433',
    '017700000001',
    '0',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '127.1',
  ]) {
    assert.equal(codeOf(await fetchWith([`*:${port}`], { url: `http://${host}:${port}/` })), 'egress', host);
  }
  for (const host of ['0x7f.1', '2130706433', '127.1'])
    assert.equal(
      codeOf(await fetchWith([`127.0.0.1:${port}`], { url: `http://${host}:${port}/` })),
      '200',
      host,
    );
});

test('what is no http URL, or hides credentials in it, is refused', async () => {
  for (const url of [
    'ftp://example.com/',
    'file:///etc/passwd',
    '/relative',
    'data:text/plain,x',
    'http://user:pw@example.com/',
    'http://',
    '',
  ]) {
    assert.equal(codeOf(await fetchWith(['*'], { url })), 'url', url);
  }
  assert.equal(codeOf(await fetchWith(['*'], { url: 'http://example.com/', method: 'CONNECT' })), 'method');
});

test('a redirect is checked again, loses credentials on another origin, and may be refused or handed back', async () => {
  let seen: string | undefined;
  const target = await serve((request, response) => {
    seen = request.headers.authorization;
    response.end(`${request.method}`);
  });
  const port = await serve((request, response) =>
    response
      .writeHead(request.url === '/see-other' ? 303 : 307, { location: `http://127.0.0.1:${target}/next` })
      .end(),
  );
  const url = `http://127.0.0.1:${port}/`;
  assert.equal(
    codeOf(await fetchWith([`127.0.0.1:${port}`], { url })),
    'egress',
    'the target is not on the list',
  );
  const followed = await fetchWith(
    [`127.0.0.1:${port}`, `127.0.0.1:${target}`],
    { url, method: 'PUT', headers: ['authorization', 'secret'] },
    { body: 'x' },
  );
  assert.equal(textOf(followed), 'PUT');
  assert.equal(seen, undefined);
  assert.ok(followed.reply.ok && followed.reply.redirected);
  const seeOther = await fetchWith(
    [`127.0.0.1:${port}`, `127.0.0.1:${target}`],
    { url: `${url}see-other`, method: 'POST' },
    { body: 'x' },
  );
  assert.equal(textOf(seeOther), 'GET');
  assert.equal(codeOf(await fetchWith([`127.0.0.1:${port}`], { url, redirect: 'manual' })), '307');
  assert.equal(codeOf(await fetchWith([`127.0.0.1:${port}`], { url, redirect: 'error' })), 'redirect');
});

test('redirects without end stop', async () => {
  const port = await serve((_request, response) => response.writeHead(302, { location: '/again' }).end());
  assert.equal(
    codeOf(await fetchWith([`127.0.0.1:${port}`], { url: `http://127.0.0.1:${port}/` })),
    'redirect',
  );
});

test('a reply past the limit, a broken one and one that never comes each have their code', async () => {
  const port = await serve((request, response) => {
    if (request.url === '/big') response.end('x'.repeat(1_001));
    else if (request.url === '/broken') response.socket?.destroy();
    else if (request.url === '/slow') response.write('x');
  });
  const rules = [`127.0.0.1:${port}`];
  assert.equal(
    codeOf(await fetchWith(rules, { url: `http://127.0.0.1:${port}/big` }, { replyBytes: 1_001 })),
    '200',
  );
  assert.equal(
    codeOf(await fetchWith(rules, { url: `http://127.0.0.1:${port}/big` }, { replyBytes: 1_000 })),
    'too_large',
  );
  assert.equal(codeOf(await fetchWith(rules, { url: `http://127.0.0.1:${port}/broken` })), 'network');
  assert.equal(
    codeOf(
      await fetchWith(rules, { url: `http://127.0.0.1:${port}/slow` }, { signal: AbortSignal.timeout(50) }),
    ),
    'aborted',
  );
});

test('CR and LF in headers do not reach the wire', async () => {
  const port = await serve((request, response) => response.end(JSON.stringify(request.headers)));
  const answer = await fetchWith([`127.0.0.1:${port}`], {
    url: `http://127.0.0.1:${port}/`,
    headers: ['x-a', 'one\r\nx-evil: 1', 'x-b\r\nx-evil', '2', 'x-c', 'fine'],
  });
  const seen = JSON.parse(textOf(answer)) as Record<string, string>;
  assert.equal(seen['x-c'], 'fine');
  assert.equal(
    Object.keys(seen).some((name) => name.includes('evil')),
    false,
  );
  assert.equal(seen['x-a'], undefined);
});

test('a name on the list that resolves to loopback is refused at the connection', async () => {
  const port = await serve((_request, response) => response.end('inner'));
  const lookup: Lookup = (_host, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]);
  const own = createEgress({ lookup });
  const ask = (rules: string[]): Promise<BridgeAnswer> =>
    own.fetch({
      policy: compileEgressPolicy([rules]),
      call: { bridge: 'fetch', invocation: 1, url: `http://rebind.example:${port}/` },
      body: Buffer.alloc(0),
      replyBytes: 1_000,
      signal: new AbortController().signal,
    });
  assert.equal(codeOf(await ask([`rebind.example:${port}`])), 'egress');
  assert.equal(
    textOf(await ask([`127.0.0.1:${port}`])),
    'inner',
    'the range names the address that the name resolves to',
  );
  await own.close();
});
