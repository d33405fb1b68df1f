/**
 * Puts the web APIs on a global object. Nothing heavy is evaluated here: each global is a lazy accessor, and each
 * implementation sits behind a `require` that esbuild turns into a wrapper which runs on first use (see bundle.ts).
 */
import type { WebHost } from './host.ts';
import { defineLazy } from './lazy.ts';
import { setHost } from './runtime.ts';

declare const require: (id: string) => unknown;

type Module = Record<string, unknown>;

/** Which globals come out of which module; the module's export has the global's name. */
const GROUPS: readonly (readonly [load: () => unknown, names: readonly string[]])[] = [
  [() => require('./url.ts'), ['URL', 'URLSearchParams']],
  [() => require('./url-pattern.ts'), ['URLPattern']],
  [() => require('./encoding.ts'), ['TextEncoder', 'TextDecoder']],
  [() => require('./text-streams.ts'), ['TextEncoderStream', 'TextDecoderStream']],
  [() => require('./dom-exception.ts'), ['DOMException']],
  [() => require('./events.ts'), ['Event', 'EventTarget', 'CustomEvent']],
  [() => require('./abort.ts'), ['AbortController', 'AbortSignal']],
  [() => require('./performance.ts'), ['Performance', 'performance', 'Navigator', 'navigator']],
  [() => require('./crypto.ts'), ['Crypto', 'CryptoKey', 'SubtleCrypto', 'crypto']],
  [
    () => require('./streams.ts'),
    [
      'ReadableStream',
      'ReadableStreamDefaultReader',
      'ReadableStreamBYOBReader',
      'ReadableStreamDefaultController',
      'ReadableByteStreamController',
      'ReadableStreamBYOBRequest',
      'WritableStream',
      'WritableStreamDefaultWriter',
      'WritableStreamDefaultController',
      'TransformStream',
      'TransformStreamDefaultController',
      'ByteLengthQueuingStrategy',
      'CountQueuingStrategy',
    ],
  ],
];

/** The same for functions, which their modules hold in one object each. */
const FUNCTION_GROUPS: readonly (readonly [load: () => unknown, names: readonly string[]])[] = [
  [
    () => (require('./timers.ts') as Module)['timerFunctions'],
    ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'queueMicrotask'],
  ],
  [() => (require('./base64.ts') as Module)['base64Functions'], ['atob', 'btoa']],
  [() => (require('./structured-clone.ts') as Module)['cloneFunctions'], ['structuredClone']],
];

/** Gives `target` (the isolate's global object) the web APIs. Call once, before tenant code runs. */
export function installWebApis(target: object, host: WebHost): void {
  setHost(host);
  for (const [load, names] of [...GROUPS, ...FUNCTION_GROUPS]) defineLazy(target, names, load);
}
