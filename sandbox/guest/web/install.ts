/**
 * Puts the web APIs on a global object. Nothing heavy is evaluated here: each global is a lazy accessor, and each
 * implementation sits behind a `require` that esbuild turns into a wrapper which runs on first use (see bundle.ts).
 */
import { brands } from './brands.ts';
import type { WebHost } from './host.ts';
import { defineLazy } from './lazy.ts';
import type { ResponseParts } from './response.ts';
import { setHost } from './runtime.ts';

import type * as ResponseModule from './response.ts';
import type * as AbortModule from './abort.ts';
import type * as DomExceptionModule from './dom-exception.ts';
import type * as EncodingModule from './encoding.ts';
import type * as HeadersModule from './headers.ts';
import type * as RequestModule from './request.ts';
import type * as UrlModule from './url.ts';
import type * as FormModule from './form-data.ts';
import type * as BlobModule from './blob.ts';
import type * as StreamsModule from './streams.ts';

declare const require: (id: string) => unknown;

type Module = Record<string, unknown>;

/** Which globals come out of which module; the module's export has the global's name. */
const GROUPS: readonly (readonly [load: () => unknown, names: readonly string[]])[] = [
  [() => require('./url.ts'), ['URL', 'URLSearchParams']],
  [() => require('./url-pattern.ts'), ['URLPattern']],
  [() => require('./encoding.ts'), ['TextEncoder', 'TextDecoder']],
  [() => require('./text-streams.ts'), ['TextEncoderStream', 'TextDecoderStream']],
  [() => require('./dom-exception.ts'), ['DOMException']],
  [() => require('./event.ts'), ['Event', 'CustomEvent']],
  [() => require('./event-target.ts'), ['EventTarget']],
  [() => require('./abort.ts'), ['AbortController', 'AbortSignal']],
  [() => require('./performance.ts'), ['Performance', 'performance', 'Navigator', 'navigator']],
  [() => require('./crypto.ts'), ['Crypto', 'CryptoKey', 'SubtleCrypto', 'crypto']],
  [() => require('./headers.ts'), ['Headers']],
  [() => require('./request.ts'), ['Request']],
  [() => require('./response.ts'), ['Response']],
  [() => require('./form-data.ts'), ['FormData']],
  [() => require('./blob.ts'), ['Blob', 'File']],
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
  [() => (require('./fetch.ts') as Module)['fetchFunctions'], ['fetch']],
  [() => (require('./base64.ts') as Module)['base64Functions'], ['atob', 'btoa']],
  [() => (require('./structured-clone.ts') as Module)['cloneFunctions'], ['structuredClone']],
];

/** What the dispatcher takes from the web APIs without going through globals, which tenants may have replaced. */
export interface WebClasses {
  /** By brand; evaluates nothing when no Response was ever made. */
  isResponse(value: unknown): boolean;
  /**
   * Status, headers (lower-case names, in order) and body of a Response, which is used up by it. A promise only where
   * the body is a stream. Rejects with a TypeError for a body that was read already, and for `Response.error()`.
   */
  responseParts(response: object): ResponseParts | Promise<ResponseParts>;
  /** A signal for `request.signal`, and what aborts it; `reason` defaults to an AbortError. */
  newAbort(): { signal: object; abort: (reason?: unknown) => void };
  /** A DOMException, such as `newDomException('...', 'TimeoutError')` for a deadline. */
  newDomException(message: string, name: string): Error;
  /** "UTF-8 decode": drops a byte order mark, bad bytes become U+FFFD. */
  decodeUtf8(bytes: Uint8Array): string;
  encodeUtf8(text: string): Uint8Array;
  /** Headers over pairs; names and values that are not valid HTTP are left out. */
  newHeaders(pairs: readonly (readonly [string, string])[]): object;
  /** The classes themselves, each evaluated when it is read; not affected by what tenants do to the globals. */
  readonly Response: object;
  readonly Headers: object;
  readonly Request: object;
  readonly URL: object;
  readonly URLSearchParams: object;
  readonly AbortController: object;
  readonly AbortSignal: object;
  readonly FormData: object;
  readonly Blob: object;
  readonly ReadableStream: object;
}

/** Gives `target` (the isolate's global object) the web APIs. Call once, before tenant code runs. */
export function installWebApis(target: object, host: WebHost): WebClasses {
  setHost(host);
  for (const [load, names] of [...GROUPS, ...FUNCTION_GROUPS]) defineLazy(target, names, load);
  Object.defineProperty(target, 'self', {
    value: target,
    writable: true,
    enumerable: false,
    configurable: true,
  });
  return classes;
}

// `require` knows no types; each of these says what the module is, and evaluates it when it is called.
const responses = () => require('./response.ts') as typeof ResponseModule;
const abort = () => require('./abort.ts') as typeof AbortModule;
const domException = () => require('./dom-exception.ts') as typeof DomExceptionModule;
const encoding = () => require('./encoding.ts') as typeof EncodingModule;
const headers = () => require('./headers.ts') as typeof HeadersModule;
const requests = () => require('./request.ts') as typeof RequestModule;
const url = () => require('./url.ts') as typeof UrlModule;
const forms = () => require('./form-data.ts') as typeof FormModule;
const blobs = () => require('./blob.ts') as typeof BlobModule;
const streams = () => require('./streams.ts') as typeof StreamsModule;

const classes: WebClasses = {
  isResponse: (value) => typeof value === 'object' && value !== null && brands.isResponse(value),
  responseParts: (response) => responses().responseParts(response),
  newAbort: () => abort().newAbort(),
  newDomException: (message, name) => new (domException().DOMException)(message, name),
  decodeUtf8: (bytes) => encoding().decodeUtf8(bytes),
  encodeUtf8: (text) => encoding().encodeUtf8(text),
  newHeaders: (pairs) => headers().headersFromHost(pairs),
  get Response() {
    return responses().Response;
  },
  get Headers() {
    return headers().Headers;
  },
  get Request() {
    return requests().Request;
  },
  get URL() {
    return url().URL;
  },
  get URLSearchParams() {
    return url().URLSearchParams;
  },
  get AbortController() {
    return abort().AbortController;
  },
  get AbortSignal() {
    return abort().AbortSignal;
  },
  get FormData() {
    return forms().FormData;
  },
  get Blob() {
    return blobs().Blob;
  },
  get ReadableStream() {
    return streams().ReadableStream;
  },
};
