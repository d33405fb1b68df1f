import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

/** All globals of docs/web-apis.md. */
const CLASSES = [
  'AbortController',
  'AbortSignal',
  'Blob',
  'ByteLengthQueuingStrategy',
  'CountQueuingStrategy',
  'Crypto',
  'CryptoKey',
  'CustomEvent',
  'DOMException',
  'Event',
  'EventTarget',
  'File',
  'FormData',
  'Headers',
  'Navigator',
  'Performance',
  'ReadableByteStreamController',
  'ReadableStream',
  'ReadableStreamBYOBReader',
  'ReadableStreamBYOBRequest',
  'ReadableStreamDefaultController',
  'ReadableStreamDefaultReader',
  'Request',
  'Response',
  'SubtleCrypto',
  'TextDecoder',
  'TextDecoderStream',
  'TextEncoder',
  'TextEncoderStream',
  'TransformStream',
  'TransformStreamDefaultController',
  'URL',
  'URLPattern',
  'URLSearchParams',
  'WritableStream',
  'WritableStreamDefaultController',
  'WritableStreamDefaultWriter',
];
const FUNCTIONS = [
  'atob',
  'btoa',
  'clearInterval',
  'clearTimeout',
  'fetch',
  'queueMicrotask',
  'setInterval',
  'setTimeout',
  'structuredClone',
];
const OBJECTS = ['crypto', 'navigator', 'performance'];

test('untouched, the bootstrap costs less than 300 KB of heap and evaluates nothing', async () => {
  const { bytes, lazy } = await isolate.run(
    (names, installBytes) => ({
      bytes: installBytes,
      lazy: names.filter(
        (name) => typeof Object.getOwnPropertyDescriptor(globalThis, name)?.get === 'function',
      ).length,
    }),
    [...CLASSES, ...FUNCTIONS, ...OBJECTS],
    true,
  );
  assert.ok(bytes < 300_000, `${bytes} bytes`);
  assert.equal(lazy, CLASSES.length + FUNCTIONS.length + OBJECTS.length);
});

test('each class, first of all in a fresh isolate, can be touched alone', async () => {
  for (const name of [
    'Response',
    'URLPattern',
    'TextDecoderStream',
    'FormData',
    'AbortSignal',
    'CryptoKey',
    'File',
    'URLSearchParams',
  ]) {
    const type = await isolate.run((key) => typeof (globalThis as Record<string, unknown>)[key], name, true);
    assert.equal(type, 'function', name);
  }
});

test('a touched global looks like any other: writable, configurable, not enumerable, well named', async () => {
  const shapes = await isolate.run(
    (names) =>
      names.map((name) => {
        const value = (globalThis as Record<string, unknown>)[name];
        const { writable, enumerable, configurable } =
          Object.getOwnPropertyDescriptor(globalThis, name) ?? {};
        return [name, typeof value, (value as { name?: string }).name, writable, enumerable, configurable];
      }),
    [...CLASSES, ...FUNCTIONS],
  );
  const expected = [...CLASSES, ...FUNCTIONS].map((name) => [name, 'function', name, true, false, true]);
  assert.deepEqual(shapes, expected);
});

test('classes have the members that Node gives them, as enumerable', async () => {
  // The members themselves may differ by what is newer or internal; each that both have must be of the same kind.
  const missing = await isolate.run(
    (wanted) =>
      Object.entries(wanted).flatMap(([name, keys]) => {
        const prototype = (
          (globalThis as object as Record<string, { prototype: object }>)[name] as { prototype: object }
        ).prototype;
        return keys
          .filter(([key, kind]) => {
            const own = Object.getOwnPropertyDescriptor(prototype, key);
            const actual =
              own === undefined ? 'absent' : own.get === undefined ? typeof own.value : 'accessor';
            return actual !== kind;
          })
          .map(([key]) => `${name}.${key}`);
      }),
    Object.fromEntries(
      CLASSES.filter((name) => name !== 'SubtleCrypto' && name !== 'Navigator' && name !== 'Performance').map(
        (name) => {
          const { prototype } = (globalThis as object as Record<string, { prototype: object }>)[name] as {
            prototype: object;
          };
          const keys = Object.entries(Object.getOwnPropertyDescriptors(prototype)).map(
            ([key, own]): [string, string] => [key, own.get === undefined ? typeof own.value : 'accessor'],
          );
          return [name, keys];
        },
      ),
    ),
  );
  // Neither is of a standard that this isolate follows; the docs name the first.
  const known = ['Blob.textStream', 'Request.attribute'];
  assert.deepEqual(
    missing.filter((member) => !known.includes(member)),
    [],
  );
});

test('a global that a tenant set before any use is the tenant’s, and the rest goes on working', async () => {
  const seen = await isolate.run(
    () => {
      const all = globalThis as Record<string, unknown>;
      all['URL'] = 'mine';
      all['TextEncoder'] = class {
        encode(): never {
          throw new Error('not this one');
        }
      };
      return [
        all['URL'],
        new URLSearchParams('a=ü').toString(),
        Object.getOwnPropertyDescriptor(globalThis, 'URL')?.enumerable,
      ];
    },
    null,
    true,
  );
  assert.deepEqual(seen, ['mine', 'a=%C3%BC', false]);
});

test('the clock and the navigator', async () => {
  const seen = await isolate.run(() => {
    const now = performance.now();
    return [
      now >= 0 && now < 60_000,
      Math.abs(performance.timeOrigin + now - Date.now()) < 1000,
      navigator.userAgent,
      Object.keys(performance.toJSON() as object),
      (globalThis as object as { self: unknown }).self === globalThis,
    ];
  }, null);
  assert.deepEqual(seen, [true, true, 'isolambda', ['timeOrigin'], true]);
});

test('no host function is reachable: by this, arguments, callers, stacks, or patched built-ins', async () => {
  const leaks = await isolate.run(
    async () => {
      const leaked: string[] = [];
      const seen = new Set<unknown>();
      /** Anything with one of the host's own method names on it is the host. */
      const inspect = (value: unknown, where: string): void => {
        if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value))
          return;
        seen.add(value);
        if ('randomBytes' in value || 'setTimer' in value || 'clearTimer' in value) leaked.push(where);
      };
      const { apply } = Reflect;
      const patched: [object, string][] = [
        [Function.prototype, 'call'],
        [Function.prototype, 'apply'],
        [Function.prototype, 'bind'],
        [Reflect, 'apply'],
        [Promise.prototype, 'then'],
        [Promise.prototype, 'finally'],
        [Map.prototype, 'get'],
        [Map.prototype, 'set'],
        [Array.prototype, 'push'],
        [Error, 'captureStackTrace'],
        [WeakMap.prototype, 'get'],
        [Object, 'defineProperty'],
      ];
      const originals = patched.map(([target, key]) => Object.getOwnPropertyDescriptor(target, key));
      const { defineProperty } = Object;
      const isInstance = Object.getOwnPropertyDescriptor(Function.prototype, Symbol.hasInstance)
        ?.value as () => boolean;
      patched.forEach(([target, key], i) => {
        const original = originals[i]?.value as (...args: unknown[]) => unknown;
        defineProperty(target, key, {
          configurable: true,
          writable: true,
          value(this: unknown, ...args: unknown[]) {
            inspect(this, `this of ${key}`);
            for (let j = 0; j < args.length; j++) inspect(args[j], `argument of ${key}`);
            return apply(original, this, args);
          },
        });
      });
      for (const kind of [Error, Promise, Uint8Array]) {
        defineProperty(kind, Symbol.hasInstance, {
          configurable: true,
          value(this: unknown, value: unknown): unknown {
            inspect(value, `instanceof ${kind.name}`);
            return apply(isInstance, this, [value]);
          },
        });
      }
      (Error as { prepareStackTrace?: unknown }).prepareStackTrace = (
        error: Error,
        sites: { getThis?(): unknown; getFunction?(): unknown }[],
      ) => {
        for (const site of sites) {
          inspect(site.getThis?.(), 'this of a stack frame');
          inspect(site.getFunction?.(), 'function of a stack frame');
        }
        return String(error);
      };
      try {
        const fired = new Promise<void>((resolve) => {
          setTimeout(function (this: unknown, ...args: unknown[]) {
            inspect(this, 'this of a timer');
            for (const arg of args) inspect(arg, 'argument of a timer');
            inspect((new Error('in a timer') as { stack?: unknown }).stack, 'stack');
            resolve();
          }, 0);
        });
        await fired;
        await fetch('https://x.test/');
        await fetch('https://x.test/fail').catch((error: unknown) => inspect(error, 'error of fetch'));
        crypto.getRandomValues(new Uint8Array(1));
        crypto.randomUUID();
        performance.now();
        AbortSignal.timeout(1);
        const form = new FormData();
        form.append('a', 'b');
        await new Response(form).text();
        try {
          setTimeout(() => undefined, {
            valueOf() {
              throw new Error(new Error('x').stack ?? '');
            },
          } as never);
        } catch {
          // Only its stack was wanted.
        }
      } finally {
        patched.forEach(([target, key], i) =>
          defineProperty(target, key, originals[i] as PropertyDescriptor),
        );
        delete (Error as { prepareStackTrace?: unknown }).prepareStackTrace;
        for (const kind of [Error, Promise, Uint8Array]) Reflect.deleteProperty(kind, Symbol.hasInstance);
      }
      return leaked;
    },
    null,
    true,
  );
  assert.deepEqual(leaks, []);
});
