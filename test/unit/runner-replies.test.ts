import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { removeImage, startRunner } from './runner-rig.ts';

after(removeImage);

test('an echo lambda answers with the JSON that it was sent', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load('exports.main = async (request) => request.json;');
  const answer = await runner.invoke(isolate, { body: '{"a":[1,"é😀"]}' });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.deepEqual(answer.json, { a: [1, 'é😀'] });
  assert.ok(answer.cpuUs > 0, 'its CPU is charged');
});

test('invocations that arrive together are each answered with their own body', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    'exports.main = async (request) => { await null; return request.json; };',
  );
  await runner.invoke(isolate, { body: '0' });
  const ids: number[] = [];
  runner.together(() => {
    for (let i = 0; i < 200; i++) ids.push(runner.startInvoke(isolate, { body: String(i) }));
  });
  const answers = await Promise.all(ids.map((id) => runner.result(id)));
  assert.deepEqual(
    answers.map((answer) => answer.json),
    ids.map((_, i) => i),
  );
});

test('bytes come and go unchanged, and text that is UTF-8 too', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load('exports.main = (request) => request.getBody();');
  const samples = [
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    Buffer.from([0xef, 0xbb, 0xbf, 0x61]),
    Buffer.from('grüße 😀\u0000 '),
    Buffer.from([0xc3]),
    Buffer.alloc(0),
    Buffer.alloc(1024 * 1024, 0xff),
    Buffer.from('é'.repeat(500_000)),
  ];
  for (const body of samples) {
    const answer = await runner.invoke(isolate, { body });
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.ok(
      answer.body.equals(body),
      `${body.length} bytes beginning with ${body.subarray(0, 4).toString('hex')}`,
    );
  }
});

test('a lambda can return a value, sendResponse, a Response, nothing, or a part of a larger buffer', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    const made = {
      undefined: () => undefined,
      text: () => 'plain',
      sent: (r) => r.sendResponse(201, { json: { ok: true }, headers: { 'X-One': 'a', 'X-Two': ['b', 'c'] } }),
      body: (r) => r.sendResponse(202, { body: 'text', headers: { 'Content-Type': 'text/csv' } }),
      both: (r) => r.sendResponse(200, { body: 'text', json: {} }),
      empty: (r) => r.sendResponse(204),
      response: () => new Response('made', { status: 203, headers: { 'x-made': 'yes' } }),
      json: () => Response.json({ a: 1 }),
      stream: () => new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array([1, 2])); c.close(); } })),
      view: () => new Uint8Array(new Uint8Array([0, 1, 2, 3]).buffer, 1, 2),
    };
    exports.main = (request) => made[request.json](request);`);
  const call = (name: string) => runner.invoke(isolate, { body: JSON.stringify(name) });
  assert.equal((await call('undefined')).text, 'null');
  assert.equal((await call('text')).text, '"plain"');
  const sent = await call('sent');
  assert.deepEqual(
    [sent.status, sent.json, sent.headers['x-one'], sent.headers['x-two']],
    [201, { ok: true }, 'a', 'c'],
  );
  const body = await call('body');
  assert.deepEqual([body.status, body.text, body.headers['content-type']], [202, 'text', 'text/csv']);
  assert.match((await call('both')).detail, /'json' and 'body' parameters can`t be specified at once/);
  assert.equal((await call('empty')).status, 204);
  const response = await call('response');
  assert.deepEqual([response.status, response.text, response.headers['x-made']], [203, 'made', 'yes']);
  assert.deepEqual((await call('json')).json, { a: 1 });
  assert.deepEqual([...(await call('stream')).body], [1, 2]);
  assert.deepEqual([...(await call('view')).body], [1, 2]);
});

test('what JSON cannot hold is told by its place', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    const made = {
      cycle: () => { const a = { b: [{}] }; a.b[0].c = a; return a; },
      bigint: () => ({ a: { b: [0, 1n] } }),
      function: () => () => 1,
      symbol: () => Symbol('x'),
      getter: () => ({ get a() { throw new Error('no') } }),
      toJSON: () => ({ a: { toJSON() { throw new Error('never') } } }),
      proxy: () => new Proxy({}, { ownKeys() { throw new Error('trap') } }),
    };
    exports.main = (request) => made[request.json]();`);
  const detail = async (name: string): Promise<string> => {
    const answer = await runner.invoke(isolate, { body: JSON.stringify(name) });
    assert.equal(answer.kind, 'reply_not_serializable', name);
    return answer.detail;
  };
  assert.match(await detail('cycle'), /"b\[0\]\.c" is a cycle/);
  assert.match(await detail('bigint'), /"a\.b\[1\]" is a BigInt/);
  assert.match(await detail('function'), /is a function/);
  assert.match(await detail('symbol'), /is a symbol/);
  assert.match(await detail('getter'), /"a" has a getter that throws: no/);
  assert.match(await detail('toJSON'), /"a" has a toJSON that throws: never/);
  assert.match(await detail('proxy'), /trap/);
});

test('replies of bytes are the same bytes: whether they could be text, of any length, and of a view', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    exports.main = async ({ json: { length, from, step } }) => {
      const bytes = new Uint8Array(length + 5).subarray(3, 3 + length);
      for (let i = 0; i < length; i++) bytes[i] = from + ((i * step) & 0x7f);
      return bytes;
    };`);
  for (const length of [0, 1, 7, 8, 9, 64, 1_023, 1_024, 1_025, 9_000])
    for (const [from, step] of [
      [0, 1],
      [0x7f, 0],
      [0x80, 0],
      [0x41, 1],
    ]) {
      const reply = await runner.invoke(isolate, { body: JSON.stringify({ length, from, step }) });
      const expected = Buffer.from(Array.from({ length }, (_, i) => from! + ((i * step!) & 0x7f)));
      assert.deepEqual(
        [reply.status, reply.headers['content-type'], reply.body],
        [200, 'application/octet-stream', expected],
        `${length} bytes from ${from}`,
      );
    }
});

test('replies beyond reply_bytes, and headers that HTTP does not allow, are refused', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `const made = {
      fits: () => new Uint8Array(1000),
      long: () => new Uint8Array(1001),
      text: () => 'x'.repeat(998),
      longText: () => 'x'.repeat(999),
      wide: () => 'é'.repeat(500),
      headers: (r) => r.sendResponse(200, { body: '', headers: { a: 'x'.repeat(300) } }),
      split: (r) => r.sendResponse(200, { headers: { a: 'b\\r\\nset-cookie: c' } }),
      name: (r) => r.sendResponse(200, { headers: { 'a b': 'c' } }),
      status: (r) => r.sendResponse(99),
      status2: (r) => r.sendResponse('200'),
    };
    exports.main = (request) => made[request.json](request);`,
    { limits: { reply_bytes: 1000, header_bytes: 256 } },
  );
  const kind = async (name: string): Promise<string> =>
    (await runner.invoke(isolate, { body: JSON.stringify(name) })).kind;
  assert.equal(await kind('fits'), 'reply');
  assert.equal(await kind('long'), 'reply_too_large');
  assert.equal(await kind('text'), 'reply');
  assert.equal(await kind('longText'), 'reply_too_large');
  assert.equal(await kind('wide'), 'reply_too_large');
  assert.equal(await kind('headers'), 'reply_too_large');
  for (const name of ['split', 'name', 'status', 'status2'])
    assert.equal(await kind(name), 'reply_invalid', name);
});

test('expected errors have the lambda’s status and text, others are exceptions', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    class Static extends tools.UserException { static statusCode = 409; static errorText = 'static text'; }
    class Own extends tools.UserException { statusCode = 418; errorText = 'own text'; }
    const made = {
      class: () => { throw Static; },
      instance: () => { throw new Static(); },
      own: () => { throw new Own(); },
      given: () => { throw new tools.UserException('given', 422); },
      error: () => { throw new RangeError('out'); },
      text: () => { throw 'a text'; },
      nothing: () => { throw undefined; },
      object: () => { throw { message: 'an object' }; },
      hostile: () => { throw new Proxy(new Error('x'), { get() { throw 1 } }); },
      rejected: () => Promise.reject(new Error('later')),
      thenable: () => ({ then() { throw new Error('in then') } }),
    };
    exports.main = (request) => made[request.json]();`);
  const call = async (name: string) => {
    const { kind, status, detail, head } = await runner.invoke(isolate, { body: JSON.stringify(name) });
    return [kind, status, detail, 'type' in head ? head.type : undefined];
  };
  assert.deepEqual(await call('class'), ['user_exception', 409, 'static text', 'Static']);
  assert.deepEqual(await call('instance'), ['user_exception', 409, 'static text', 'Static']);
  assert.deepEqual(await call('own'), ['user_exception', 418, 'own text', 'Own']);
  assert.deepEqual(await call('given'), ['user_exception', 422, 'given', 'UserException']);
  assert.deepEqual(await call('error'), ['exception', undefined, 'out', 'RangeError']);
  assert.deepEqual(await call('text'), ['exception', undefined, 'a text', 'string']);
  assert.deepEqual(await call('nothing'), ['exception', undefined, 'undefined', 'undefined']);
  assert.deepEqual(await call('object'), ['exception', undefined, 'an object', 'Object']);
  assert.equal((await call('hostile'))[0], 'exception');
  assert.deepEqual(await call('rejected'), ['exception', undefined, 'later', 'Error']);
  assert.deepEqual(await call('thenable'), ['exception', undefined, 'in then', 'Error']);
});

test('a malformed body is the sender’s error', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load('exports.main = async (request) => ({ got: request.json });');
  assert.deepEqual((await runner.invoke(isolate, { body: '' })).json, { got: null });
  const broken = await runner.invoke(isolate, { body: '{"a":' });
  assert.equal(broken.kind, 'request_invalid');
  assert.match(broken.detail, /not JSON/);
  assert.equal(
    (await runner.invoke(isolate, { body: Buffer.from([0x22, 0xff, 0x22]) })).kind,
    'request_invalid',
  );
  assert.deepEqual((await runner.invoke(isolate, { body: '\ufeff{"a":1}' })).json, { got: { a: 1 } });
});

test('RPC messages are decoded by content type, and replies encoded by value', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.lambda_handler = (event, context) => {
      if (event instanceof Uint8Array) return event;
      if (event === 'context') return { ...context, left: context.getRemainingTimeInMillis() > 0, logger: typeof context.logger.info };
      return event;
    };`,
    { type: 'rpc' },
  );
  const call = (contentType: string, body: string | Uint8Array) =>
    runner.invoke(isolate, { body, rpc: { contentType, headers: { a: 1 } } });
  const bytes = await call('application/octet-stream', '{"a":1}');
  assert.deepEqual([bytes.headers['content-type'], bytes.text], ['application/octet-stream', '{"a":1}']);
  const json = await call('application/json; charset=utf-8', '{"a":1}');
  assert.deepEqual([json.headers['content-type'], json.text], ['application/json', '{"a":1}']);
  assert.equal((await call('application/json', '{')).kind, 'request_invalid');
  assert.equal((await call('text/plain', '[1]')).headers['content-type'], 'application/json');
  assert.equal((await call('text/plain', 'no json')).headers['content-type'], 'application/octet-stream');
  for (const value of ['null', 'true', '5', '"text"'])
    assert.equal((await call('application/json', value)).text, value);
  const context = (await call('', '"context"')).json as Record<string, unknown>;
  assert.equal(context['functionName'], 'lambda_handler');
  assert.equal(context['lambdaId'], 'lambda-1');
  assert.deepEqual(context['headers'], { a: 1 });
  assert.equal(context['logger'], 'function');
  const http = await runner.invoke(isolate, { body: '{"over":"http"}' });
  assert.deepEqual(http.json, { over: 'http' });
});
