import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Router } from '../../sandbox/sdk/core/router.ts';
import { compileRoute } from '../../sandbox/sdk/core/routes.ts';
import { parseRoute } from '../../src/archive/validate/route-pattern.ts';
import { createRouteBook } from '../../src/gateway/http/route-book.ts';
import { area } from './runs.ts';

const { holds } = area(4);

const TYPES = ['str', 'string', 'number', 'strorempty', 'int', 'float', 'alpha', 'slug', 'path', 'uuid'];
/** None of them backtracks for long: that is what the CPU limit is for, not what is asked here. */
const REGEXES = ['[a-z]{2}', '\\d+', '.*', 'a|b', '(?P<v>x+)', '^a$', 'x/y', '(?:ab)?', '[^/]+\\.js', 'a\\Z'];
const name = fc.constantFrom('a', 'b', 'id', '_x', '__proto__', 'constructor', 'v', 'isolambda_0');
const parameter = fc
  .tuple(name, fc.option(fc.constantFrom(...TYPES, ...REGEXES), { nil: undefined }))
  .map(([key, type]) => (type === undefined ? `<${key}>` : `<${key}:${type}>`));
const literal = fc.stringMatching(/^[a-z0-9._~%$()*+\u00e9-]{0,5}$/);
const pattern = fc
  .array(fc.oneof(parameter, literal), { minLength: 1, maxLength: 5 })
  .map((parts) => `/${parts.join('/')}`);

const piece = fc.constantFrom(
  ...['<', '>', ':', '/', '(', ')', '[', ']', '?', '*', '+', '{2}', '\\', '\\1', '\\d', '|', '^', '$'],
  ...['(?P<', '(?<', '(?=', '\\Z', '\\k<a>', 'a', 'b', '__proto__', '\n', '\u0000', '\u2028', 'é', '\ud800'],
);
const wild = fc
  .oneof(
    fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join('')),
    fc.string({ maxLength: 24, unit: 'binary' }),
  )
  .map((text) => `/${text}`);

const segment = fc.oneof(
  fc.constantFrom('a', 'b', 'ab', 'x', 'xx', '12', '-3.5', '.5', 'a-b', 'q.js', '', '%2F', '%zz', 'é'),
  fc.constant('123e4567-e89b-12d3-a456-426614174000'),
  fc.string({ maxLength: 5 }),
);
const path = fc.array(segment, { minLength: 1, maxLength: 6 }).map((parts) => `/${parts.join('/')}`);

describe('a route', () => {
  it('that the archive is accepted with compiles in the isolate, and matches the same paths', () => {
    holds(
      fc.property(fc.oneof(pattern, wild), fc.array(path, { maxLength: 4 }), (route, paths) => {
        const checked = parseRoute(route);
        if (typeof checked === 'string') return;
        const compiled = compileRoute(route);
        assert.deepEqual(compiled.names, checked.parameters);
        const router = new Router([{ pattern: compiled, target: route }]);
        for (const each of paths)
          assert.equal(router.find(each) !== undefined, checked.matches(each), `${route} on ${each}`);
      }),
    );
  });
  it('of any text is compiled or refused, and what it matches has a value for each of its names', () => {
    holds(
      fc.property(fc.oneof(pattern, wild), fc.oneof(path, wild), (route, given) => {
        const checked = parseRoute(route);
        assert.ok(typeof checked === 'object' || checked.length > 0);
        let compiled: ReturnType<typeof compileRoute>;
        try {
          compiled = compileRoute(route);
        } catch (thrown) {
          assert.ok(thrown instanceof SyntaxError, String(thrown));
          return;
        }
        const values = compiled.match(given);
        if (values === undefined) return;
        assert.deepEqual(Object.keys(values).sort(), [...compiled.names].sort());
        assert.equal(Object.getPrototypeOf(values), Object.prototype);
      }),
    );
  });
  it('is found for its own path, whatever stands beside it', () => {
    const texts = fc.stringMatching(/^[a-z]{1,4}$/);
    holds(
      fc.property(
        fc.uniqueArray(pattern, { maxLength: 5 }),
        fc.array(texts, { maxLength: 4 }),
        (routes, own) => {
          const exact = `/own/${own.join('/')}`;
          const patterns = [exact, ...routes].flatMap((route) =>
            typeof parseRoute(route) === 'string' ? [] : [{ pattern: compileRoute(route), target: route }],
          );
          const router = new Router(patterns);
          assert.equal(router.find(exact)?.target, exact);
          for (const { pattern: each } of patterns) {
            if (each.names.length > 0) continue;
            assert.notEqual(router.find(each.pattern), undefined);
          }
        },
      ),
    );
  });
});

describe('the methods of a path', () => {
  it('are those of the routes that fit it, and a path of any text is no more than that', () => {
    const part = fc.constantFrom('a', 'b', ':id', '*', '');
    const route = fc
      .tuple(fc.constantFrom('GET', 'POST', 'PUT'), fc.array(part, { minLength: 1, maxLength: 4 }))
      .map(([method, parts]) => ({ method, url: `/${parts.join('/')}` }));
    holds(
      fc.property(fc.array(route, { maxLength: 6 }), fc.oneof(path, wild), (routes, given) => {
        const book = createRouteBook();
        for (const { method, url } of routes) book.add(method, url);
        const wanted = routes.filter(({ url }) => asRegex(url).test(given)).map(({ method }) => method);
        assert.deepEqual(book.methodsOf(given), [...new Set(wanted)].sort());
      }),
    );
  });
});

function asRegex(url: string): RegExp {
  const star = url.split('/').indexOf('*');
  const parts = url.split('/').slice(0, star < 0 ? undefined : star);
  const source = parts.map((each) => (each.startsWith(':') ? '[^/]+' : each)).join('/');
  return new RegExp(star < 0 ? `^${source}$` : `^${source}/[^]*$`);
}
