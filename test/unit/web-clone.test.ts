import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

test('values of every cloneable kind come out as in Node', async () => {
  await isolate.same(() => {
    const show = (value: unknown, depth = 0): unknown => {
      if (typeof value === 'bigint') return `${value}n`;
      if (Object.is(value, -0)) return '-0';
      if (typeof value === 'number' || typeof value === 'undefined') return String(value);
      if (typeof value !== 'object' || value === null || depth > 4) return value;
      const tag = Object.prototype.toString.call(value);
      if (value instanceof Date) return [tag, value.getTime()];
      if (value instanceof RegExp) return [tag, String(value), value.lastIndex];
      if (value instanceof Map) return [tag, [...value].map((pair) => show(pair, depth + 1))];
      if (value instanceof Set) return [tag, [...value].map((item) => show(item, depth + 1))];
      if (value instanceof ArrayBuffer)
        return [tag, [...new Uint8Array(value)], value.resizable, value.maxByteLength];
      if (ArrayBuffer.isView(value))
        return [tag, value.byteOffset, value.byteLength, value.buffer.byteLength];
      if (value instanceof Error) {
        return [
          tag,
          value.name,
          value.message,
          value.constructor.name,
          typeof value.stack,
          show(value.cause, depth + 1),
          Object.keys(value),
        ];
      }
      if (value instanceof Number || value instanceof String || value instanceof Boolean)
        return [tag, value.valueOf()];
      if (value instanceof BigInt) return [tag, String(value)];
      return [
        tag,
        Array.isArray(value) ? value.length : 0,
        Object.entries(value).map(([k, v]) => [k, show(v, depth + 1)]),
        Object.getPrototypeOf(value) === Object.prototype,
      ];
    };
    class Custom {
      a = 1;
      #hidden = 2;
      get b(): number {
        return this.#hidden;
      }
    }
    class OwnError extends Error {
      override name = 'OwnError';
      extra = 1;
    }
    const sparse: unknown[] = [1];
    sparse[2] = 3;
    const re = /a+/giu;
    re.lastIndex = 3;
    const shared = new ArrayBuffer(16, { maxByteLength: 32 });
    const getter = {
      get x() {
        return 5;
      },
    };
    const hidden = Object.defineProperty({ a: 1 }, 'b', { value: 2, enumerable: false });
    const values: unknown[] = [
      1,
      -0,
      Number.NaN,
      Infinity,
      'text',
      '',
      true,
      null,
      undefined,
      10n ** 30n,
      new Date(5),
      new Date(Number.NaN),
      re,
      new RegExp('', 'v'),
      new Map<unknown, unknown>([
        [1, { a: 1 }],
        [{}, new Set([1])],
      ]),
      new Set([Number.NaN, -0, 'x']),
      sparse,
      Object.assign([1, 2], { extra: 3 }),
      [[[]]],
      new Uint8Array([1, 2, 3]).buffer,
      shared,
      new Uint8Array(shared, 4, 4),
      new Float64Array(2),
      new BigInt64Array([5n]),
      new DataView(shared, 2, 3),
      new Uint8ClampedArray(3),
      new Error('plain'),
      new TypeError('typed', { cause: { why: 1 } }),
      new OwnError('own'),
      new RangeError(),
      Object.assign(new Error('m'), { name: 'SyntaxError' }),
      Object.assign(new EvalError('e'), { code: 7 }),
      new Number(1),
      new String('ab'),
      new Boolean(false),
      Object(5n),
      new Custom(),
      Object.create(null),
      Object.create({ inherited: 1 }),
      getter,
      hidden,
      { ['__proto__']: 1 },
      { [Symbol('s')]: 1, b: 2 },
      (function (...args: unknown[]) {
        return [args];
      })(1, 2),
      JSON,
      Math,
      new Proxy({ a: 1 }, {}) && {},
    ];
    return values.map((value) => {
      try {
        return show(structuredClone(value));
      } catch (error) {
        return { threw: (error as Error).name };
      }
    });
  }, null);
});

test('identity inside a value is kept: cycles, shared objects, shared buffers', async () => {
  await isolate.same(() => {
    interface Node {
      self?: Node;
      map?: Map<unknown, unknown>;
      list?: unknown[];
    }
    const root: Node = {};
    root.self = root;
    root.map = new Map<unknown, unknown>([[root, root]]);
    root.list = [root, root.map];
    const copy = structuredClone(root);
    const buffer = new ArrayBuffer(8);
    const views = structuredClone({ a: new Uint8Array(buffer, 0, 4), b: new Uint8Array(buffer, 4), buffer });
    const error = new Error('e') as Error & { cause: unknown };
    error.cause = error;
    const errorCopy = structuredClone(error);
    return [
      copy !== root,
      copy.self === copy,
      copy.map?.get(copy) === copy,
      copy.list?.[0] === copy,
      copy.list?.[1] === copy.map,
      views.a.buffer === views.b.buffer,
      views.a.buffer === views.buffer,
      views.buffer !== buffer,
      errorCopy.cause === errorCopy,
    ];
  }, null);
});

test('what cannot be cloned is a DataCloneError, as in Node', async () => {
  await isolate.same(() => {
    const values: unknown[] = [
      () => 1,
      function f() {},
      class A {},
      Symbol('s'),
      new WeakMap(),
      new WeakSet(),
      new Intl.NumberFormat('en'),
      new WeakRef({}),
      Promise.resolve(),
      (function* () {})(),
      { deep: [{ f() {} }] },
      new Map([[1, () => 1]]),
      new Set([Symbol.iterator]),
      Object(Symbol('boxed')),
      new Error('e', { cause: () => 1 }),
      {
        get boom() {
          throw new TypeError('getter');
        },
      },
    ];
    return values.map((value) => {
      try {
        structuredClone(value);
        return 'cloned';
      } catch (error) {
        return [(error as Error).name, (error as DOMException).code, error instanceof DOMException];
      }
    });
  }, null);
});

test('transferred buffers move, and a failure moves nothing', async () => {
  await isolate.same(() => {
    const attempt = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return (error as Error).name;
      }
    };
    const buffer = new Uint8Array([1, 2, 3]).buffer;
    const view = new Uint8Array(buffer, 1);
    const moved = structuredClone({ buffer, view }, { transfer: [buffer] });
    const kept = new ArrayBuffer(4);
    return [
      buffer.detached,
      view.length,
      [...moved.view],
      moved.view.buffer === moved.buffer,
      attempt(() => structuredClone({ f() {} }, { transfer: [kept] })),
      kept.detached,
      attempt(() => structuredClone(1, { transfer: [kept, kept] })),
      attempt(() => structuredClone(buffer)),
      attempt(() => structuredClone(view)),
      attempt(() => structuredClone(1, { transfer: [buffer] })),
      attempt(() => structuredClone(1, { transfer: [{} as ArrayBuffer] })),
      attempt(() => (structuredClone as () => unknown)()),
      structuredClone(1, {}),
      kept.detached,
      attempt(() => structuredClone('x', { transfer: [kept] })),
      kept.detached,
    ];
  }, null);
});

test('platform objects: DOMException, Blob and File clone', async () => {
  const shown = await isolate.run(async () => {
    const exception = structuredClone(new DOMException('m', 'AbortError'));
    const blob = structuredClone(new Blob(['héllo'], { type: 'text/x' }));
    const file = structuredClone(new File(['f'], 'n.txt', { type: 'a/b', lastModified: 5 }));
    return [
      exception instanceof DOMException,
      exception.name,
      exception.message,
      exception.code,
      blob instanceof Blob,
      await blob.text(),
      blob.type,
      file instanceof File,
      file.name,
      file.lastModified,
      await file.text(),
    ];
  }, null);
  assert.deepEqual(shown, [true, 'AbortError', 'm', 20, true, 'héllo', 'text/x', true, 'n.txt', 5, 'f']);
});

test('a changed prototype deceives nobody', async () => {
  const shown = await isolate.run(() => {
    const map = Object.setPrototypeOf(new Map([[1, 2]]), Object.prototype) as object;
    const fake = { [Symbol.toStringTag]: 'Map', a: 1 };
    const copy = structuredClone(map);
    return [
      copy instanceof Map,
      structuredClone(fake).a,
      structuredClone(Object.create(Map.prototype)) instanceof Map,
    ];
  }, null);
  assert.deepEqual(shown, [true, 1, false]);
});
