/** Web streams: web-streams-polyfill's ponyfill, after https://streams.spec.whatwg.org. */

import { brands } from './brands.ts';
import { getterOf, methodOf, nameClasses } from './webidl.ts';

declare const require: (id: string) => unknown;

export interface StreamReader {
  read(): Promise<{ done: boolean; value: unknown }>;
  cancel(reason?: unknown): Promise<void>;
  releaseLock(): void;
}
export interface ReadableStreamLike {
  readonly locked: boolean;
  getReader(): StreamReader;
  tee(): [ReadableStreamLike, ReadableStreamLike];
  cancel(reason?: unknown): Promise<void>;
}
export interface ReadableController {
  enqueue(chunk: Uint8Array): void;
  close(): void;
  error(reason: unknown): void;
}
export interface TransformController {
  enqueue(chunk: unknown): void;
}
interface StreamsLibrary {
  ReadableStream: new (
    source: {
      type?: 'bytes';
      pull?(controller: ReadableController): void | Promise<void>;
      cancel?(reason: unknown): void | Promise<void>;
    },
    strategy?: { highWaterMark: number },
  ) => ReadableStreamLike;
  TransformStream: new (transformer: {
    transform(chunk: unknown, controller: TransformController): void;
    flush(controller: TransformController): void;
  }) => { readonly readable: object; readonly writable: object };
  [name: string]: unknown;
}

const library = require('web-streams-polyfill') as StreamsLibrary;
nameClasses(library);

export const ReadableStream = library.ReadableStream;
export const TransformStream = library.TransformStream;
export const WritableStream = library['WritableStream'];
export const ReadableStreamDefaultReader = library['ReadableStreamDefaultReader'];
export const ReadableStreamBYOBReader = library['ReadableStreamBYOBReader'];
export const ReadableStreamDefaultController = library['ReadableStreamDefaultController'];
export const ReadableByteStreamController = library['ReadableByteStreamController'];
export const ReadableStreamBYOBRequest = library['ReadableStreamBYOBRequest'];
export const WritableStreamDefaultWriter = library['WritableStreamDefaultWriter'];
export const WritableStreamDefaultController = library['WritableStreamDefaultController'];
export const TransformStreamDefaultController = library['TransformStreamDefaultController'];
export const ByteLengthQueuingStrategy = library['ByteLengthQueuingStrategy'];
export const CountQueuingStrategy = library['CountQueuingStrategy'];

const lockedOf = getterOf(ReadableStream.prototype as object, 'locked');
const getReaderOf = methodOf(ReadableStream.prototype as object, 'getReader');
const teeOf = methodOf(ReadableStream.prototype as object, 'tee');
const cancelOf = methodOf(ReadableStream.prototype as object, 'cancel');

/** By the library's own brand check, which its `locked` getter makes. */
export function isReadableStream(value: object): value is ReadableStreamLike {
  try {
    Reflect.apply(lockedOf, value, []);
    return true;
  } catch {
    return false;
  }
}

brands.isReadableStream = isReadableStream;

export function isLocked(stream: ReadableStreamLike): boolean {
  return Reflect.apply(lockedOf, stream, []) === true;
}

/**
 * Whether the stream was ever read from or cancelled: the standard's [[disturbed]] slot, which has no public
 * accessor; the library keeps it as `_disturbed`, and test/unit/web-streams.test.ts holds it to that.
 */
export function isDisturbed(stream: ReadableStreamLike): boolean {
  return (stream as { _disturbed?: unknown })._disturbed === true;
}

export function readerOf(stream: ReadableStreamLike): StreamReader {
  return Reflect.apply(getReaderOf, stream, []) as StreamReader;
}

export function teeStream(stream: ReadableStreamLike): [ReadableStreamLike, ReadableStreamLike] {
  return Reflect.apply(teeOf, stream, []) as [ReadableStreamLike, ReadableStreamLike];
}

export function cancelStream(stream: ReadableStreamLike, reason: unknown): Promise<void> {
  return Reflect.apply(cancelOf, stream, [reason]) as Promise<void>;
}

/** Bytes per chunk of a stream that is made from a body in memory. */
const CHUNK_BYTES = 65_536;

/** A byte stream over parts in memory; each pull hands on one copied chunk, so a long body is read in linear time. */
export function streamOfBytes(parts: readonly Uint8Array[]): ReadableStreamLike {
  let part = 0;
  let offset = 0;
  return new ReadableStream(
    {
      type: 'bytes',
      pull(controller) {
        while (part < parts.length) {
          const current = parts[part];
          if (current === undefined || offset >= current.length) {
            part++;
            offset = 0;
            continue;
          }
          const end = offset + CHUNK_BYTES;
          controller.enqueue(current.slice(offset, end));
          offset = end;
          return;
        }
        controller.close();
        // A BYOB read that waits is only told of the end through its request.
        (controller as { byobRequest?: { respond(bytes: number): void } | null }).byobRequest?.respond(0);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Reads a stream of Uint8Arrays to its end; any other chunk is a TypeError, and cancels the stream. */
export async function readAll(stream: ReadableStreamLike): Promise<Uint8Array<ArrayBuffer>> {
  const reader = readerOf(stream);
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!(value instanceof Uint8Array)) {
      const error = new TypeError('Received non-Uint8Array chunk');
      reader.cancel(error).catch(() => undefined);
      throw error;
    }
    chunks.push(value);
    total += value.length;
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
