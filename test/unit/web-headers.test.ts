import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NAMES, SEQUENCES, VALUES } from '../data/web/headers.ts';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

test('every name with every value is taken, normalised or refused as in Node', async () => {
  const pairs = NAMES.flatMap((name) => VALUES.map((value): [string, string] => [name, value]));
  await isolate.same(
    (inputs) =>
      inputs.map(([name, value]) =>
        (['append', 'set'] as const).map((method) => {
          const headers = new Headers();
          try {
            headers[method](name, value);
            return [[...headers], headers.get(name), headers.has(name)];
          } catch (error) {
            return (error as Error).name;
          }
        }),
      ),
    pairs,
  );
});

test('names are checked by get, has and delete too', async () => {
  await isolate.same(
    (names) =>
      names.map((name) =>
        (['get', 'has', 'delete'] as const).map((method) => {
          try {
            return new Headers()[method](name) ?? 'nothing';
          } catch (error) {
            return (error as Error).name;
          }
        }),
      ),
    NAMES,
  );
});

test('lists combine and sort as in Node, cookies apart', async () => {
  await isolate.same(
    (sequences) =>
      sequences.map((steps) => {
        const headers = new Headers();
        for (const [method, name, value] of steps) {
          if (method === 'delete') headers.delete(name);
          else headers[method](name, value);
        }
        const each: unknown[] = [];
        headers.forEach((value, name, owner) => void each.push([name, value, owner === headers]));
        return [
          [...headers],
          [...headers.keys()],
          [...headers.values()],
          headers.getSetCookie(),
          each,
          headers.get('a'),
          headers.get('set-cookie'),
          headers.get('cookie'),
        ];
      }),
    SEQUENCES,
  );
});

test('every kind of init fills headers as in Node', async () => {
  await isolate.same(() => {
    const inits: unknown[] = [
      undefined,
      null,
      {},
      { a: '1', B: '2' },
      [
        ['a', '1'],
        ['a', '2'],
      ],
      [],
      [['a']],
      [['a', '1', '2']],
      ['ab'],
      'ab',
      1,
      true,
      new Map([['a', '1']]),
      new Headers({ x: 'y' }),
      { a: 1, b: null, c: undefined },
      { [Symbol('s')]: 'x' },
      { 'bad name': 'x' },
      new URLSearchParams('a=1&b=2'),
      [new Set(['a', '1'])],
      Object.create({ inherited: '1' }),
      { [Symbol.iterator]: null, a: '1' },
      { [Symbol.iterator]: 1 },
      [[Symbol('x'), '1']],
    ];
    return inits.map((init) => {
      try {
        return [...new Headers(init as [string, string][])];
      } catch (error) {
        return (error as Error).name;
      }
    });
  }, null);
});

test('iterators see changes, as in Node', async () => {
  await isolate.same(() => {
    const headers = new Headers([
      ['b', '1'],
      ['d', '2'],
    ]);
    const seen: unknown[] = [];
    for (const [name] of headers) {
      seen.push(name);
      if (name === 'b') headers.append('c', '3');
      if (name === 'c') headers.delete('d');
    }
    const iterator = headers.entries();
    seen.push(
      Object.prototype.toString.call(iterator),
      typeof iterator.next,
      Headers.prototype.entries === Headers.prototype[Symbol.iterator],
    );
    return seen;
  }, null);
});

test('the headers of a reply from the network are read-only', async () => {
  const seen = await isolate.run(async () => {
    const { headers } = await fetch('https://x.test/');
    try {
      headers.set('a', 'b');
      return 'changed';
    } catch (error) {
      return [(error as Error).name, [...headers], headers.getSetCookie()];
    }
  }, null);
  const pairs = [
    ['content-type', 'application/json'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ];
  assert.deepEqual(seen, ['TypeError', pairs, ['a=1', 'b=2']]);
});
