import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { removeImage, startRunner } from './runner-rig.ts';

after(removeImage);

/**
 * Walks everything reachable from the globals, from what a lambda is handed, and from what it can make: through own
 * properties, getters, symbols and prototypes. A host object would show by its class, its native bridge, or by a
 * constructor chain that ends in another realm's Function.
 */
const WALK = `
  const seen = new Set();
  const found = [];
  const names = /^(Reference|Callback|ExternalCopy|Isolate|Context|Script|Module|NativeModule|InspectorSession|Dereference|Copy)$/;
  const look = (value, path) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
    seen.add(value);
    if (seen.size > 200000) return;
    let tag = '';
    try { tag = Object.prototype.toString.call(value).slice(8, -1); } catch {}
    if (names.test(tag)) found.push(path + ': ' + tag);
    if (typeof value === 'function' && names.test(value.name) && /native code/.test(Function.prototype.toString.call(value))) found.push(path + ': ' + value.name);
    try {
      const made = value.constructor && value.constructor.constructor;
      if (typeof made === 'function' && made.name === 'Function' && made !== Function) found.push(path + ': another realm');
    } catch {}
    let keys = [];
    try { keys = Reflect.ownKeys(value); } catch {}
    for (const key of keys) {
      const at = path + '.' + String(key);
      let descriptor;
      try { descriptor = Reflect.getOwnPropertyDescriptor(value, key); } catch {}
      if (!descriptor) continue;
      look(descriptor.get, at + '<get>'); look(descriptor.set, at + '<set>');
      let child;
      try { child = value[key]; } catch (error) { look(error, at + '<throws>'); }
      look(child, at);
    }
    try { look(Object.getPrototypeOf(value), path + '.__proto__'); } catch {}
  };`;

test('no object of the runner is reachable by walking from anything a lambda has', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `${WALK}
    exports.main = async (request) => {
      look(globalThis, 'globalThis'); look(__isolambda, 'modules'); look(request, 'request');
      look(request.signal, 'signal'); look(request.headers, 'headers'); look(request.clients, 'clients');
      look(request.clients.events, 'events'); look(new Error('x'), 'error');
      look(new URL('http://a'), 'url'); look(new Response('a'), 'response'); look(crypto, 'crypto');
      try { await fetch('http://nowhere.test/'); } catch (error) { look(error, 'fetch error'); }
      try { null.x; } catch (error) { look(error, 'engine error'); }
      try { (function deep() { deep(); })(); } catch (error) { look(error, 'stack error'); }
      return { found, seen: seen.size };
    };`,
    { services: { events: { address: 'http://events', methods: { save: { method: 'POST', path: '/e' } } } } },
  );
  const id = runner.startInvoke(isolate);
  const call = await runner.next('bridgeCall');
  assert.deepEqual([call.head.bridge, call.head.url], ['fetch', 'http://nowhere.test/']);
  runner.bridgeReply(isolate, call.id, {
    ok: false,
    error: 'no such host is allowed',
    code: 'egress_denied',
  });
  const { found, seen } = (await runner.result(id)).json as { found: string[]; seen: number };
  assert.deepEqual(found, []);
  assert.ok(seen > 500, `${seen} objects were looked at`);
});

test('what must not be there is not there, by name nor by construction', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    exports.main = async () => {
      const missing = {};
      for (const name of ['process', 'require', 'module', 'Buffer', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'ivm', 'isolated_vm', 'global', '__guest', 'boot', 'deliver', 'post', '$0', 'isolambda']) {
        missing[name] = [typeof globalThis[name], typeof (0, eval)('typeof ' + name + ' === "undefined" ? undefined : ' + name), typeof new Function('return typeof ' + name + ' === "undefined" ? undefined : ' + name)()];
      }
      let dynamic;
      try { dynamic = await (0, eval)('import("node:fs")'); } catch (error) { dynamic = String(error.message); }
      return { missing, dynamic: typeof dynamic };
    };`);
  const { missing, dynamic } = (await runner.invoke(isolate)).json as {
    missing: Record<string, string[]>;
    dynamic: string;
  };
  for (const [name, types] of Object.entries(missing)) {
    assert.deepEqual(types, ['undefined', 'undefined', 'undefined'], name);
  }
  assert.equal(dynamic, 'string', 'import() is refused');
});

test('prepareStackTrace sees no function, receiver or frame of the sandbox that could be used', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    const leaks = [];
    Error.stackTraceLimit = Infinity;
    Error.prepareStackTrace = (error, sites) => {
      for (const site of sites) {
        const [fn, self] = [site.getFunction(), site.getThis()];
        const script = site.getFileName();
        if (script !== 'lambda.js' && fn !== undefined) leaks.push('function ' + site.getFunctionName() + ' of ' + script);
        if (self !== undefined && self !== null && self !== globalThis && script !== 'lambda.js') leaks.push('this in ' + script);
      }
      return sites;
    };
    const trigger = [
      (r) => new Error('here').stack,
      (r) => { try { r.sendResponse(200, { json: 1, body: '1' }); } catch (error) { return error.stack; } },
      (r) => { try { new URL('::'); } catch (error) { return error.stack; } },
      (r) => { try { tools.logger.info({ get a() { return new Error('in a getter').stack; } }); } catch (error) { return error.stack; } },
      (r) => { try { JSON.parse('{'); } catch (error) { return error.stack; } },
      (r) => { try { structuredClone(() => 1); } catch (error) { return error.stack; } },
      (r) => setTimeout(() => new Error('in a timer').stack, 0),
      (r) => { const o = {}; Error.captureStackTrace(o); return o.stack; },
    ];
    exports.main = async (request) => {
      for (const go of trigger) go(request);
      await new Promise((r) => setTimeout(r, 5));
      new Error('after an await').stack;
      return leaks;
    };`);
  assert.deepEqual((await runner.invoke(isolate)).json, []);
});

test('replaced built-ins, thenables and proxies get no hold of the bridge', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    const caught = [];
    const { apply } = Reflect;
    const { toString } = Function.prototype;
    // The runner's callback is a native function; isolated-vm names it by where it was made, dots included.
    const isBridge = (value) => typeof value === 'function' && apply(toString, value, []).includes('[native code]') &&
      (String(value.name).includes('.') || (value.name === '' && value.length === 0));
    const spy = (owner, name) => {
      const original = owner[name];
      owner[name] = function () {
        if (isBridge(this)) caught.push(name);
        for (let i = 0; i < arguments.length; i++) if (isBridge(arguments[i])) caught.push(name);
        return apply(original, this, arguments);
      };
    };
    for (const [owner, names] of [
      [Function.prototype, ['call', 'apply', 'bind']],
      [Array.prototype, ['push', 'map', 'forEach', 'slice', 'splice', 'concat', 'join']],
      [Promise.prototype, ['then', 'catch', 'finally']],
      [Map.prototype, ['get', 'set']],
    ]) for (let i = 0; i < names.length; i++) spy(owner, names[i]);
    Object.defineProperty(Object.prototype, 'then', { configurable: true, get() { if (isBridge(this)) caught.push('then'); return undefined; } });
    let index;
    Object.defineProperty(Array.prototype, '0', { configurable: true, set(value) { index = value; Object.defineProperty(this, '0', { value, writable: true, configurable: true, enumerable: true }); } });
    exports.main = async (request) => {
      delete Array.prototype[0];
      delete Object.prototype.then;
      tools.logger.info('line', { a: 1 });
      setTimeout(() => {}, 0);
      const value = await { then(resolve) { resolve(new Proxy({ a: 1 }, {})); } };
      return { caught, value };
    };`);
  assert.deepEqual((await runner.invoke(isolate)).json, { caught: [], value: { a: 1 } });
  assert.equal((await runner.invoke(isolate)).kind, 'reply');
});

test('Function and eval reach only the isolate’s own globals', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(`
    exports.main = (request) => {
      const roots = [request, request.headers, tools, tools.logger, tools.logger.info, setTimeout, console, console.log, fetch, new Error('x'), (() => {}), (async () => {}), (function* () {})];
      return roots.map((root) => { try { return root.constructor.constructor('return this')() === globalThis || root.constructor.constructor('return this')(); } catch (error) { return error.name; } })
        .every((result) => result === true || typeof result === 'object' || typeof result === 'string');
    };`);
  assert.equal((await runner.invoke(isolate)).json, true);
});

test('random bytes differ, between calls and between isolates', async (t) => {
  const runner = await startRunner(t);
  const module = `exports.main = () => Array.from({ length: 4 }, () => crypto.randomUUID()).concat(Array.from(crypto.getRandomValues(new Uint32Array(16000)).slice(-2), String));`;
  const all: string[] = [];
  for (let i = 0; i < 2; i++) {
    const isolate = await runner.load(module);
    for (let k = 0; k < 2; k++) all.push(...((await runner.invoke(isolate)).json as string[]));
  }
  assert.equal(new Set(all).size, all.length);
});

test('service clients and fetch are bridge calls, answered, refused, counted and bounded at once', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = async (request) => {
      if (request.text() === 'flags') return [request.eventsEnabled, request.senderEnabled, request.clients.sender, request.clients.events.getAddress()];
      if (request.text() === 'service') { const reply = await request.clients.events.saveEvents({ id: 7, list: [1] }, { headers: { 'X-A': 'b' } }); return [reply.status, reply.json, reply.headers['x-reply']]; }
      if (request.text() === 'fetch') { const r = await fetch('http://allowed.test/a?b#c', { method: 'POST', body: 'sent', headers: { a: 'b' } }); return [r.status, await r.text(), r.headers.get('x-reply')]; }
      const all = await Promise.allSettled(Array.from({ length: 5 }, (_, i) => fetch('http://allowed.test/' + i)));
      return all.map((one) => one.status === 'fulfilled' ? one.value.status : one.reason.message);
    };`,
    {
      services: {
        events: {
          address: 'http://events:1',
          methods: { saveEvents: { method: 'POST', path: '/events/{id}' } },
        },
      },
      limits: { fetches: 4, fetch_concurrency: 2 },
    },
  );
  assert.deepEqual((await runner.invoke(isolate, { body: 'flags' })).json, [
    true,
    false,
    null,
    'http://events:1',
  ]);
  const service = runner.startInvoke(isolate, { body: 'service' });
  const call = await runner.next('bridgeCall');
  assert.deepEqual(call.head, {
    bridge: 'service',
    invocation: service,
    service: 'events',
    method: 'POST',
    url: '/events/7',
    headers: ['x-a', 'b', 'content-type', 'application/json'],
  });
  assert.equal(call.body.toString(), '{"list":[1]}');
  const ok = { ok: true, status: 201, headers: ['x-reply', 'yes'], url: 'http://x/', redirected: false };
  runner.bridgeReply(isolate, call.id, ok, '{"saved":1}');
  assert.deepEqual((await runner.result(service)).json, [201, { saved: 1 }, 'yes']);
  const fetching = runner.startInvoke(isolate, { body: 'fetch' });
  const fetched = await runner.next('bridgeCall');
  assert.deepEqual(
    [
      fetched.head.bridge,
      fetched.head.invocation,
      fetched.head.method,
      fetched.head.url,
      fetched.body.toString(),
    ],
    ['fetch', fetching, 'POST', 'http://allowed.test/a?b', 'sent'],
  );
  runner.bridgeReply(isolate, fetched.id, ok, 'answer');
  assert.deepEqual((await runner.result(fetching)).json, [201, 'answer', 'yes']);
  const many = runner.startInvoke(isolate);
  const first = await runner.next('bridgeCall');
  const second = await runner.next('bridgeCall');
  await runner.invoke(isolate, { body: 'flags' });
  assert.equal(
    runner.received.filter(({ name }) => name === 'bridgeCall').length,
    4,
    'two at once and no more',
  );
  runner.bridgeReply(isolate, first.id, ok);
  const third = await runner.next('bridgeCall');
  for (const { id } of [second, third]) runner.bridgeReply(isolate, id, ok);
  runner.bridgeReply(isolate, (await runner.next('bridgeCall')).id, {
    ok: false,
    error: 'refused by the host',
    code: 'egress_denied',
  });
  const results = (await runner.result(many)).json as unknown[];
  assert.deepEqual(results.slice(0, 3), [201, 201, 201]);
  assert.match(String(results[3]), /refused by the host/);
  assert.match(String(results[4]), /more than 4 outward requests/);
});

test('a call with values that can’t be sent fails alone, and takes no place', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = async (request) => {
      const { events } = request.clients;
      const bad = await Promise.allSettled([
        events.get('/' + 'x'.repeat(20000)),
        events.get(Symbol('path')),
        events.get('/a', { headers: { a: Symbol('value') } }),
        events.get({ toString() { throw new Error('no path') } }),
        events.post('/a', { json: 1, body: '1' }),
        fetch('http://a.test/', { method: 'x'.repeat(100) }),
      ]);
      const good = await events.get('/good');
      return [bad.map(({ status }) => status), good.status];
    };`,
    { services: { events: { address: 'http://events', methods: {} } }, limits: { fetch_concurrency: 1 } },
  );
  const id = runner.startInvoke(isolate);
  const call = await runner.next('bridgeCall');
  assert.equal(call.head.url, '/good');
  runner.bridgeReply(isolate, call.id, { ok: true, status: 204, headers: [], url: '', redirected: false });
  assert.deepEqual((await runner.result(id)).json, [Array.from({ length: 6 }, () => 'rejected'), 204]);
});

test('once a fetch came from nobody knows whom, invocations enter one by one, and every fetch has its owner', async (t) => {
  const runner = await startRunner(t);
  const isolate = await runner.load(
    `exports.main = async (request) => { await null; return (await fetch('http://a.test/' + request.text())).status; };`,
  );
  const answer = async (ids: number[]): Promise<number[]> => {
    const owners: number[] = [];
    for (const _ of ids) {
      const call = await runner.next('bridgeCall');
      owners.push(call.head.invocation);
      runner.bridgeReply(isolate, call.id, {
        ok: true,
        status: 200,
        headers: [],
        url: '',
        redirected: false,
      });
    }
    for (const id of ids) assert.equal((await runner.result(id)).json, 200);
    return owners;
  };
  const together = (): number[] => {
    const ids: number[] = [];
    runner.together(() => {
      for (let i = 0; i < 4; i++) ids.push(runner.startInvoke(isolate, { body: String(i) }));
    });
    return ids;
  };
  const alone = [runner.startInvoke(isolate)];
  assert.deepEqual(await answer(alone), alone);
  assert.ok((await answer(together())).includes(0), 'in a batch the owners are not known');
  const ids = together();
  assert.deepEqual(
    (await answer(ids)).sort((a, b) => a - b),
    ids,
  );
});
