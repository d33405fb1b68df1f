import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hosts, relatives, searchStrings, setterCases, urls } from '../data/web/urls.ts';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

test('absolute URLs parse to the same components as in Node', async () => {
  const count = await isolate.same(
    (inputs) =>
      inputs.map((input) => {
        try {
          const u = new URL(input);
          const list = [...u.searchParams];
          return [
            u.href,
            u.origin,
            u.protocol,
            u.username,
            u.password,
            u.host,
            u.hostname,
            u.port,
            u.pathname,
            u.search,
            u.hash,
            list,
          ];
        } catch (error) {
          return (error as Error).name;
        }
      }),
    urls(),
  );
  assert.ok(count > 300, `only ${count} inputs`);
});

test('host names parse as in Node: IPv4 and IPv6 forms, percent encoding, IDNA', async () => {
  const count = await isolate.same(
    (inputs) =>
      inputs.map((host) =>
        ['http', 'ws', 'file', 'foo'].map((scheme) => {
          try {
            return new URL(`${scheme}://${host}/`).href;
          } catch (error) {
            return (error as Error).name;
          }
        }),
      ),
    hosts(),
  );
  assert.ok(count > 150, `only ${count} hosts`);
});

test('relative references resolve as in Node against every kind of base', async () => {
  const count = await isolate.same(
    (inputs) =>
      inputs.map(([reference, base]) => {
        try {
          return [
            new URL(reference, base).href,
            URL.canParse(reference, base),
            URL.parse(reference, base)?.href,
          ];
        } catch (error) {
          return [(error as Error).name, URL.canParse(reference, base), URL.parse(reference, base)];
        }
      }),
    relatives(),
  );
  assert.ok(count > 300, `only ${count} pairs`);
});

test('setters change a URL as in Node', async () => {
  await isolate.same(
    (inputs) =>
      inputs.map(([start, property, value]) => {
        const u = new URL(start);
        try {
          (u as object as Record<string, string>)[property] = value;
        } catch (error) {
          return (error as Error).name;
        }
        return u.href;
      }),
    setterCases(),
  );
});

test('URLSearchParams parses and serialises as in Node', async () => {
  await isolate.same(
    (inputs) =>
      inputs.map((input) => {
        const params = new URLSearchParams(input);
        return [
          params.toString(),
          [...params],
          params.size,
          params.get('a'),
          params.getAll('a'),
          params.has('b', '2'),
        ];
      }),
    searchStrings(),
  );
});

test('URLSearchParams and its URL stay in step', async () => {
  await isolate.same(() => {
    const u = new URL('https://x.test/?b=2&a=1&a=0#h');
    const seen: unknown[] = [];
    u.searchParams.append('c', 'ä &+');
    seen.push(u.href);
    u.searchParams.sort();
    seen.push(u.search);
    u.searchParams.delete('a', '1');
    seen.push(u.href);
    u.search = '?z=%7E';
    seen.push([...u.searchParams], u.searchParams.toString());
    for (const key of [...u.searchParams.keys()]) u.searchParams.delete(key);
    seen.push(u.href, [...new URLSearchParams({ a: '1', b: '2' })], [...new URLSearchParams([['x', 'y']])]);
    return seen;
  }, null);
});

test('URLPattern matches as in Node', async () => {
  const cases: [Record<string, string> | string, string][] = [
    [{ pathname: '/books/:id' }, 'https://x.test/books/12'],
    [{ pathname: '/books/:id(\\d+)' }, 'https://x.test/books/ab'],
    [{ pathname: '/books/:id(\\d+)' }, 'https://x.test/books/7'],
    [{ pathname: '/a/*' }, 'https://x.test/a/b/c'],
    [{ pathname: '/a{/:b}?' }, 'https://x.test/a'],
    [{ pathname: '/a{/:b}?' }, 'https://x.test/a/q'],
    [{ pathname: '/:x+' }, 'https://x.test/1/2/3'],
    [{ pathname: '/:x*' }, 'https://x.test/'],
    [{ hostname: '*.example.com' }, 'https://a.example.com/x'],
    [{ hostname: '*.example.com' }, 'https://example.com/x'],
    [{ search: 'a=:v' }, 'https://x.test/?a=9'],
    [{ protocol: 'http{s}?' }, 'http://x.test/'],
    [{ pathname: '/ü' }, 'https://x.test/%C3%BC'],
    ['https://x.test/:a/:b?q=*', 'https://x.test/1/2?q=3'],
    ['https://x.test:8080/:a', 'https://x.test:8080/1'],
  ];
  await isolate.same(
    (inputs) =>
      inputs.map(([pattern, url]) => {
        const URLPattern = (
          globalThis as object as {
            URLPattern: new (p: unknown) => {
              test(u: string): boolean;
              exec(u: string): { pathname: unknown; hostname: unknown; search: unknown } | null;
            };
          }
        ).URLPattern;
        const made = new URLPattern(pattern);
        const found = made.exec(url);
        return [made.test(url), found?.pathname, found?.hostname, found?.search];
      }),
    cases,
  );
});
