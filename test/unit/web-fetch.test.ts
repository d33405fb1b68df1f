import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

test('a body of every kind is read by every method as in Node', async () => {
  await isolate.same(async () => {
    const stream = (): ReadableStream =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('from a '));
          controller.enqueue(new TextEncoder().encode('strëam'));
          controller.close();
        },
      });
    const bodies: (() => unknown)[] = [
      () => undefined,
      () => null,
      () => '',
      () => 'text é\ud800',
      () => '{"a":[1,2]}',
      () => '\ufeff{"b":1}',
      () => new Uint8Array([0xef, 0xbb, 0xbf, 0x31]),
      () => new Uint8Array([255, 0, 65]).buffer,
      () => new DataView(new Uint8Array([1, 50, 51, 4]).buffer, 1, 2),
      () => new Blob(['blob ', 'é'], { type: 'Text/X' }),
      () => new URLSearchParams('a=1&b=ü'),
      stream,
      () => 12,
      () => ({ toString: () => 'object' }),
    ];
    const results: unknown[] = [];
    for (const body of bodies) {
      for (const method of ['text', 'json', 'bytes', 'arrayBuffer', 'blob', 'formData'] as const) {
        const response = new Response(body() as string);
        const before = [response.bodyUsed, response.headers.get('content-type'), response.body === null];
        let value: unknown;
        try {
          value = await response[method]();
          if (value instanceof ArrayBuffer) value = ['buffer', ...new Uint8Array(value)];
          else if (value instanceof Uint8Array) value = ['bytes', ...value];
          else if (value instanceof Blob) value = ['blob', value.type, await value.text()];
          else if (value instanceof FormData) value = ['form', ...value];
        } catch (error) {
          value = (error as Error).name;
        }
        const again = await response.text().catch((error: Error) => error.name);
        results.push([before, value, response.bodyUsed, again]);
      }
    }
    return results;
  }, null);
});

test('Response takes and refuses the same inits as Node', async () => {
  await isolate.same(async () => {
    const attempts: (() => Response)[] = [
      () => new Response(),
      () => new Response('x', { status: 201, statusText: 'Made', headers: { 'content-type': 'a/b' } }),
      () => new Response('x', { status: 199 }),
      () => new Response('x', { status: 600 }),
      () => new Response('x', { status: 204 }),
      () => new Response(null, { status: 204 }),
      () => new Response(null, { status: 304 }),
      () => new Response('', { status: 205 }),
      () => new Response('x', { statusText: 'a\nb' }),
      () => new Response('x', { statusText: 'é' }),
      () => new Response('x', { statusText: '\u0100' }),
      () => new Response('x', { status: '299' as never }),
      () => new Response('x', { status: 65_736 }),
      () => new Response('x', null as never),
      () => new Response('x', 1 as never),
      () => Response.json({ a: 1 }),
      () => Response.json('é', { status: 202, headers: { a: 'b' } }),
      () => Response.json({ a: 1 }, { headers: { 'Content-Type': 'x/y' } }),
      () => Response.json(undefined),
      () => Response.json(() => 1),
      () => Response.json(1n),
      () => Response.redirect('https://x.test/a b'),
      () => Response.redirect('https://x.test/', 308),
      () => Response.redirect('https://x.test/', 200 as 302),
      () => Response.redirect('/relative'),
      () => Response.error(),
      () => new Response(Symbol('x') as never),
      () => new Response('x').clone(),
      () => Response.error().clone(),
    ];
    const results: unknown[] = [];
    for (const attempt of attempts) {
      try {
        const r = attempt();
        results.push([
          r.status,
          r.statusText,
          r.ok,
          r.type,
          r.url,
          r.redirected,
          [...r.headers],
          await r.text(),
        ]);
      } catch (error) {
        results.push((error as Error).name);
      }
    }
    return results;
  }, null);
});

test('Request takes and refuses the same inits as Node', async () => {
  await isolate.same(async () => {
    const u = 'https://x.test/a?b#c';
    const signal = new AbortController().signal;
    const inits: [unknown, unknown][] = [
      [u, undefined],
      [u, {}],
      [u, null],
      [u, 1],
      ['/relative', {}],
      ['https://u:p@x.test/', {}],
      [new URL(u), {}],
      [{ toString: () => u }, {}],
      ['', {}],
      ...['get', 'post', 'PATCH', 'delete', 'Foo', 'CONNECT', 'trace', 'TRACK', 'a b', '', 'é'].map(
        (method): [unknown, unknown] => [u, { method }],
      ),
      [u, { method: 'POST', body: 'x' }],
      [u, { method: 'GET', body: 'x' }],
      [u, { method: 'HEAD', body: '' }],
      [u, { body: null }],
      [u, { method: 'PUT', body: new URLSearchParams('a=1') }],
      [u, { method: 'POST', body: new ReadableStream() }],
      [u, { method: 'POST', body: new ReadableStream({ start: (c) => c.close() }), duplex: 'half' }],
      [u, { duplex: 'full' }],
      [u, { headers: { a: 'b', Host: 'h', Cookie: 'c', 'Content-Length': '9' } }],
      [
        u,
        {
          headers: [
            ['a', '1'],
            ['a', '2'],
          ],
        },
      ],
      [u, { headers: 1 }],
      [u, { mode: 'navigate' }],
      [u, { mode: 'no-cors' }],
      [u, { mode: 'x' }],
      [u, { credentials: 'include' }],
      [u, { credentials: 'x' }],
      [u, { cache: 'no-store' }],
      [u, { cache: 'only-if-cached' }],
      [u, { cache: 'only-if-cached', mode: 'same-origin' }],
      [u, { redirect: 'manual' }],
      [u, { redirect: 'x' }],
      [u, { referrer: '' }],
      [u, { referrer: 'about:client' }],
      [u, { referrer: 'https://o.test/' }],
      [u, { referrer: 'bad url' }],
      [u, { referrerPolicy: 'origin' }],
      [u, { referrerPolicy: 'x' }],
      [u, { integrity: 'sha256-x' }],
      [u, { keepalive: 1 }],
      [u, { window: null }],
      [u, { window: 'x' }],
      [u, { signal }],
      [u, { signal: null }],
      [u, { signal: {} }],
      [u, { signal: AbortSignal.abort('why') }],
      [new Request(u, { method: 'POST', body: 'old', headers: { a: 'b' } }), {}],
      [new Request(u, { method: 'POST', body: 'old' }), { body: 'new' }],
      [new Request(u, { headers: { a: 'b' } }), { headers: { c: 'd' } }],
      [new Request(u, { method: 'POST', body: 'old' }), { method: 'GET' }],
    ];
    const results: unknown[] = [];
    for (const [input, init] of inits) {
      try {
        const r = new Request(input as string, init as RequestInit);
        const parts = [
          r.method,
          r.url,
          [...r.headers],
          r.mode,
          r.credentials,
          r.cache,
          r.redirect,
          r.referrer,
          r.referrerPolicy,
          r.integrity,
          r.keepalive,
          r.destination,
          r.duplex,
        ];
        results.push([
          parts,
          r.signal.aborted,
          r.signal.reason,
          r.body === null,
          r.body === null ? '' : await r.text(),
        ]);
      } catch (error) {
        results.push((error as Error).name);
      }
    }
    return results;
  }, null);
});

test('clones, moved bodies and locked streams act as in Node', async () => {
  await isolate.same(async () => {
    const name = async (work: () => unknown): Promise<unknown> => {
      try {
        return await work();
      } catch (error) {
        return (error as Error).name;
      }
    };
    const log: unknown[] = [];
    const response = new Response('twice', { headers: { a: 'b' } });
    const copy = response.clone();
    copy.headers.set('a', 'c');
    log.push(
      await response.text(),
      await copy.text(),
      response.headers.get('a'),
      await name(() => response.clone()),
    );
    const streamed = new Response(new Blob(['streamed']).stream());
    const streamedCopy = streamed.clone();
    log.push(await streamedCopy.text(), await streamed.text(), streamed.bodyUsed);
    const request = new Request('https://x.test/', { method: 'POST', body: 'moved' });
    const moved = new Request(request);
    log.push(
      request.bodyUsed,
      await moved.text(),
      await name(() => request.text()),
      await name(() => new Request(request)),
    );
    const locked = new Response('locked');
    const reader = locked.body?.getReader();
    log.push(locked.bodyUsed, await name(() => locked.text()), await name(() => locked.clone()));
    reader?.releaseLock();
    log.push(await name(() => locked.text()));
    const used = new ReadableStream();
    used.getReader();
    log.push(await name(() => new Response(used)));
    const texts = new Response(new ReadableStream({ start: (c) => c.enqueue('not bytes' as never) }));
    log.push(await name(() => texts.text()));
    const failing = new Response(new ReadableStream({ start: (c) => c.error(new RangeError('broken')) }));
    log.push(await name(() => failing.text()));
    const controller = new AbortController();
    const followed = new Request('https://x.test/', { signal: controller.signal }).clone();
    controller.abort('gone');
    log.push(followed.signal.aborted, followed.signal.reason);
    log.push(
      await name(() => Reflect.apply(Response.prototype.text, {}, [])),
      await name(() => Reflect.get(Response.prototype, 'body', {})),
    );
    return log;
  }, null);
});

test('Blob and File slice, join and describe as in Node', async () => {
  await isolate.same(async () => {
    const name = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return (error as Error).name;
      }
    };
    const log: unknown[] = [];
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const blob = new Blob(
      ['abc', bytes.subarray(1, 3), new Blob(['é']), new DataView(bytes.buffer, 3), 5 as never],
      { type: 'Text/PLAIN;x=Y' },
    );
    bytes.fill(9);
    log.push(blob.size, blob.type, [...(await blob.bytes())], Object.prototype.toString.call(blob));
    for (const range of [[], [1], [-2], [1, 4], [2, 1], [-100, 100], [0, -1], [3, 3]]) {
      const part = blob.slice(...range);
      log.push([range, part.size, part.type, [...(await part.bytes())]]);
    }
    log.push(
      blob.slice(0, 1, 'A/B').type,
      new Blob([], { type: 'a\u00e9' }).type,
      new Blob(['a\r\nb\nc\rd'], { endings: 'native' }).size,
    );
    log.push(
      new Blob(['\ud800']).size,
      (await new Blob(['\ufeffx']).text()).length,
      (await blob.slice(0, 3).arrayBuffer()).byteLength,
    );
    log.push(
      name(() => new Blob('text' as never).size),
      name(() => new Blob([], { endings: 'x' as 'native' })),
      name(() => new Blob({} as string[])),
    );
    const file = new File(['f'], 'a\u0000/ü.txt', { type: 'x/y', lastModified: 12 });
    log.push(
      file.name,
      file.lastModified,
      file.size,
      file.type,
      file instanceof Blob,
      Object.prototype.toString.call(file),
      file.slice(0, 1) instanceof File,
    );
    log.push(
      name(() => new (File as object as new (parts: string[]) => object)(['x'])),
      typeof new File([], 'x').lastModified,
    );
    return log;
  }, null);
});

test('FormData keeps, replaces and iterates entries as in Node', async () => {
  await isolate.same(() => {
    const form = new FormData();
    form.append('a', '1');
    form.append('b', new Blob(['x']));
    form.append('a', 2);
    form.append('c', new File(['y'], 'y.txt'));
    form.append('d', new File(['y'], 'y.txt'), 'renamed');
    form.append('\ud800', '\udfff');
    const log: unknown[] = [[...form].map(([k, v]) => [k, typeof v === 'string' ? v : [v.name, v.type]])];
    form.set('a', '3');
    form.set('new', '4');
    form.delete('b');
    log.push(
      [...form.keys()],
      form.get('a'),
      form.getAll('a'),
      form.has('b'),
      form.get('b'),
      Object.prototype.toString.call(form),
    );
    for (const work of [
      () => (form.append as (name: string) => void)('x'),
      () => form.append('x', 'y', 'name'),
      () => new (FormData as object as new (form: unknown) => object)({}),
    ]) {
      try {
        work();
        log.push('fine');
      } catch (error) {
        log.push((error as Error).name);
      }
    }
    form.forEach((value, key, owner) => void log.push([key, typeof value, owner === form]));
    return log;
  }, null);
});

test('forms make the round trip through Request and Response', async () => {
  await isolate.same(async () => {
    const form = new FormData();
    form.append('plain', 'väl\nue\r\nx\ry');
    form.append('na"me\r\n', 'quoted');
    form.append('empty', '');
    form.append(
      'file',
      new File([new Uint8Array([0, 13, 10, 45, 45, 255])], 'fi"le ü.bin', { type: 'Application/X' }),
    );
    form.append('blob', new Blob(['content']));
    const log: unknown[] = [];
    for (const carrier of [
      new Response(form),
      new Request('https://x.test/', { method: 'POST', body: form }),
    ]) {
      log.push(
        /^multipart\/form-data; boundary=[-\w]{10,70}$/.test(carrier.headers.get('content-type') ?? ''),
      );
      for (const [key, value] of await carrier.formData()) {
        log.push([
          key,
          typeof value === 'string' ? value : [value.name, value.type, [...(await value.bytes())]],
        ]);
      }
    }
    return log;
  }, null);
});

test('multipart bodies from elsewhere are read, and broken ones refused, as in Node', async () => {
  const disposition = 'Content-Disposition: form-data; name=';
  const bodies = [
    `--b\r\n${disposition}"a"\r\n\r\n1\r\n--b--\r\n`,
    `--b\r\n${disposition}"a"\r\n\r\n1\r\n--b--`,
    `--b\r\n${disposition}"a"\r\n\r\n\r\n--b\r\n${disposition}"a"\r\n\r\n2\r\n--b--\r\n`,
    `--b\r\n${disposition}"f"; filename="x.txt"\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n`,
    `--b\r\n${disposition}"f"; filename="x.txt"\r\n\r\nno type\r\n--b--\r\n`,
    `--b\r\ncontent-disposition: form-data; name="low"\r\nX-Other: y\r\n\r\nv\r\n--b--\r\n`,
    `--b\r\n${disposition}"%22%0D%0A"\r\n\r\nv\r\n--b--\r\n`,
    '--b--\r\n',
    '--b--',
    '',
    '--b',
    '--b\r\n',
    `--b\r\n${disposition}"a"\r\n\r\nunfinished`,
    `--b\r\n${disposition}"a"\r\n\r\n1\r\n--c--\r\n`,
    `--b\r\n\r\nno head\r\n--b--\r\n`,
    `--b\r\nX: y\r\n\r\nno disposition\r\n--b--\r\n`,
    `--b\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--b--\r\n`,
    `--b\r\n${disposition}"ü"\r\n\r\né\r\n--b--\r\n`,
    `--b\r\n${disposition}"a"\r\n\r\nline\r\n--bogus\r\n--b--\r\n`,
    `--b\n${disposition}"a"\n\n1\n--b--\n`,
  ];
  await isolate.same(
    (inputs) =>
      Promise.all(
        inputs.map(async (body) => {
          try {
            const response = new Response(body, {
              headers: { 'content-type': 'multipart/form-data; boundary=b' },
            });
            const entries: unknown[] = [];
            for (const [key, value] of await response.formData()) {
              entries.push([
                key,
                typeof value === 'string' ? value : [value.name, value.type, await value.text()],
              ]);
            }
            return entries;
          } catch (error) {
            return (error as Error).name;
          }
        }),
      ),
    bodies,
  );
});

test('content types decide what formData() reads, and what type blob() has', async () => {
  const types = [
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'APPLICATION/X-WWW-FORM-URLENCODED ; charset=x',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary="b"',
    'text/html;charset="UTF-8"',
    'text/html; a=1; A=2; b="x y"',
    'bad',
    '*/*',
    'a/b, c/d',
    'text/html;charset=gbk, text/html',
    'a/b;c',
    'a/b ; c = d',
  ];
  await isolate.same(
    (inputs) =>
      Promise.all(
        inputs.map(async (type) => {
          const init = { headers: { 'content-type': type } };
          const form = await new Response('a=1&b=%20+&a=2', init).formData().then(
            (read) => [...read],
            (error: Error) => error.name,
          );
          return [form, (await new Response('x', init).blob()).type];
        }),
      ),
    types,
  );
});

test('fetch hands the host a checked request, and gives its reply', async () => {
  const seen = await isolate.run(async () => {
    const reply = await fetch('HTTPS://X.test:443/a/../b?q=ü#fragment', {
      method: 'post',
      headers: { 'X-A': '1', Cookie: 'c' },
      body: new Blob(['hi'], { type: 'text/x' }),
      redirect: 'manual',
    });
    const moved = await fetch(new Request('http://x.test/moved'));
    return [
      await reply.json(),
      reply.status,
      reply.statusText,
      reply.type,
      reply.url,
      moved.redirected,
      moved.ok,
      (await fetch('http://x.test/404')).ok,
    ];
  }, null);
  const asked = {
    method: 'POST',
    url: 'https://x.test/b?q=%C3%BC',
    headers: [
      ['x-a', '1'],
      ['cookie', 'c'],
      ['content-type', 'text/x'],
    ],
    body: [104, 105],
    redirect: 'manual',
  };
  assert.deepEqual(seen, [asked, 200, 'Fine', 'basic', 'https://x.test/b?q=%C3%BC', true, true, false]);
});

test('fetch fails with TypeErrors that say why, and follows its signal', async () => {
  const seen = await isolate.run(async () => {
    const outcome = async (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => 'fine',
        (error: unknown) =>
          error instanceof Error
            ? [error.name, error.message, Object.getOwnPropertyNames(error).sort()]
            : error,
      );
    const controller = new AbortController();
    const hanging = outcome(fetch('https://x.test/hang', { signal: controller.signal }));
    await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort('enough');
    const { reportedErrors } = globalThis as object as { reportedErrors: string[] };
    return [
      await hanging,
      reportedErrors.includes('host aborted'),
      await outcome(fetch('https://x.test/', { signal: AbortSignal.abort('early') })),
      await outcome(fetch('https://x.test/fail')),
      ((await outcome(fetch('data:text/plain,x'))) as string[])[0],
      ((await outcome(fetch('/relative'))) as string[])[0],
      ((await outcome((fetch as () => Promise<unknown>)())) as string[])[0],
    ];
  }, null);
  const denied = ['TypeError', 'egress.denied: example is not on the allow-list', ['message', 'stack']];
  assert.deepEqual(seen, ['enough', true, 'early', denied, 'TypeError', 'TypeError', 'TypeError']);
});

test('the dispatcher takes a Response apart without what tenants patched', async () => {
  const seen = await isolate.run(async () => {
    const { webClasses } = globalThis as object as {
      webClasses: { isResponse(value: unknown): boolean; responseParts(value: object): unknown };
    };
    const response = new Response('body', { status: 201, headers: { A: 'b' } });
    const streamed = new Response(new Blob(['streamed']).stream());
    const restore = Object.getOwnPropertyDescriptors(Response.prototype);
    for (const key of ['text', 'bytes', 'headers', 'status'])
      Object.defineProperty(Response.prototype, key, { value: () => 'patched' });
    const direct = webClasses.responseParts(response);
    const { body } = (await webClasses.responseParts(streamed)) as { body: Uint8Array };
    const again = await (webClasses.responseParts(response) as Promise<unknown>).catch(
      (error: Error) => error.name,
    );
    for (const [key, descriptor] of Object.entries(restore))
      Object.defineProperty(Response.prototype, key, descriptor);
    return [
      direct,
      [...body].length,
      again,
      webClasses.isResponse(response),
      webClasses.isResponse({}),
      webClasses.isResponse(Object.create(Response.prototype)),
    ];
  }, null);
  const direct = {
    status: 201,
    headers: [
      ['a', 'b'],
      ['content-type', 'text/plain;charset=UTF-8'],
    ],
    body: 'body',
  };
  assert.deepEqual(seen, [direct, 8, 'TypeError', true, false, false]);
});
