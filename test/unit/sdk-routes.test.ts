import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parameterTaker } from '../../sandbox/sdk/core/parameters.ts';
import { Router } from '../../sandbox/sdk/core/router.ts';
import { compileRoute } from '../../sandbox/sdk/core/routes.ts';

const match = (pattern: string, path: string) => compileRoute(pattern).match(path);

test('typed parameters match what Sanic’s do, and nothing beside it', () => {
  const cases: [pattern: string, path: string, expected: Record<string, unknown> | undefined][] = [
    ['/a/<b>', '/a/x', { b: 'x' }],
    ['/a/<b>', '/a/x/', { b: 'x' }],
    ['/a/<b>', '/a/', undefined],
    ['/a/<b>', '/a/x/y', undefined],
    ['/a/<b:str>', '/a/x%20y', { b: 'x y' }],
    ['/a/<b:str>', '/a/%zz', { b: '%zz' }],
    ['/a/<b:int>', '/a/-12', { b: -12 }],
    ['/a/<b:int>', '/a/1.5', undefined],
    ['/a/<b:int>', '/a/9007199254740993', { b: 9007199254740993n }],
    ['/a/<b:float>', '/a/1.5', { b: 1.5 }],
    ['/a/<b:float>', '/a/.5', { b: 0.5 }],
    ['/a/<b:float>', '/a/1e5', undefined],
    ['/a/<b:alpha>', '/a/abC', { b: 'abC' }],
    ['/a/<b:alpha>', '/a/ab1', undefined],
    ['/a/<b:uuid>', '/a/123e4567-e89b-12d3-a456-426614174000', { b: '123e4567-e89b-12d3-a456-426614174000' }],
    ['/a/<b:uuid>', '/a/123e4567', undefined],
    ['/a/<b:ymd>', '/a/2024-02-29', { b: '2024-02-29' }],
    ['/a/<b:ymd>', '/a/2023-02-29', undefined],
    ['/a/<b:path>', '/a/x/y/z', { b: 'x/y/z' }],
    ['/a/<b:path>', '/a//y', undefined],
    ['/a/<b:[a-f0-9]{4}>', '/a/00ff', { b: '00ff' }],
    ['/a/<b:[a-f0-9]{4}>', '/a/00fg', undefined],
    ['/a/<b:[^/]+>/<c:\\d+>', '/a/x/12', { b: 'x', c: '12' }],
    ['/new_route/<one:.*>/<two:.*>', '/new_route/1/2', { one: '1', two: '2' }],
    ['/a/<b:(?P<b>\\d+)px>', '/a/12px', { b: '12' }],
    ['/a/<b:^x$>', '/a/x', { b: 'x' }],
    ['/a/<b>/c', '/a/x/c', { b: 'x' }],
    ['/a.b', '/axb', undefined],
    ['/', '/', {}],
    ['/a', '/a/', {}],
    ['/a<b>', '/a<b>', {}],
  ];
  for (const [pattern, path, expected] of cases)
    assert.deepEqual(match(pattern, path), expected, `${pattern} on ${path}`);
});

test('patterns that can’t be are refused', () => {
  for (const pattern of ['a', '/<a:[>', '/<a>/<a>', '/<a:(>'])
    assert.throws(() => compileRoute(pattern), SyntaxError, pattern);
});

test('a parameter called __proto__ is a parameter', () => {
  const values = match('/<__proto__>', '/x')!;
  assert.equal(Object.getOwnPropertyDescriptor(values, '__proto__')!.value, 'x');
});

test('static routes come before typed ones, and those before regular expressions', () => {
  const patterns = ['/a/<p:.*>', '/a/<s>', '/a/<n:int>', '/a/fixed'];
  const router = new Router(patterns.map((pattern) => ({ pattern: compileRoute(pattern), target: pattern })));
  assert.equal(router.find('/a/fixed')!.target, '/a/fixed');
  assert.equal(router.find('/a/fixed/')!.target, '/a/fixed');
  assert.equal(router.find('/a/12')!.target, '/a/<n:int>');
  assert.equal(router.find('/a/x')!.target, '/a/<s>');
  assert.equal(router.find('/a/x/y')!.target, '/a/<p:.*>');
  assert.equal(router.find('/b'), undefined);
});

test('methods take parameters by name, in any order, destructured, or renamed by the bundler', () => {
  const values = { one: 1, two: 2 };
  const take = (name: keyof typeof methods) =>
    parameterTaker(Reflect.get(methods, name), ['one', 'two'])(values);
  const methods = {
    async inOrder(one: number, two: number) {
      return [one, two];
    },
    async otherOrder(two: number, one: number) {
      return [one, two];
    },
    async none() {},
    async object({ one }: { one: number }) {
      return one;
    },
    async renamed(one2: number, two2: number) {
      return [one2, two2];
    },
    async unknown(x: number, y: number) {
      return [x, y];
    },
    async defaults(two: unknown = { a: [1, ')'] }, /* one, */ one = 'a,b') {
      return [one, two];
    },
  };
  assert.deepEqual(take('inOrder'), [1, 2]);
  assert.deepEqual(take('otherOrder'), [2, 1]);
  assert.deepEqual(take('none'), []);
  assert.deepEqual(take('object'), [values]);
  assert.deepEqual(take('renamed'), [1, 2]);
  assert.deepEqual(take('unknown'), [1, 2]);
  assert.deepEqual(take('defaults'), [2, 1]);
});
