/**
 * Bodies of requests and responses: https://fetch.spec.whatwg.org/#bodies. A body that came from memory stays in
 * memory; it becomes a stream only where someone asks for `body`, so most invocations evaluate no streams.
 */
import type * as BlobModule from './blob.ts';
import type { Blob } from './blob.ts';
import { brands } from './brands.ts';
import { joinParts } from './bytes.ts';
import type * as Encoding from './encoding.ts';
import type * as FormModule from './form-data.ts';
import type { FormData, FormEntry } from './form-data.ts';
import type * as Mime from './mime.ts';
import type * as Multipart from './multipart.ts';
import type * as Streams from './streams.ts';
import type { ReadableStreamLike } from './streams.ts';
import type * as Url from './url.ts';
import { copyBytes, isBufferSource, toUsvString } from './webidl.ts';

declare const require: (id: string) => unknown;

// Evaluated on first use: a Response with a text needs none of them.
const blobs = () => require('./blob.ts') as typeof BlobModule;
const encoding = () => require('./encoding.ts') as typeof Encoding;
const forms = () => require('./form-data.ts') as typeof FormModule;
const mimes = () => require('./mime.ts') as typeof Mime;
const multipart = () => require('./multipart.ts') as typeof Multipart;

export type BodySource = string | readonly Uint8Array[];

export interface BodyState {
  /** Absent for a body that is only a stream. */
  source: BodySource | undefined;
  /** Made on demand from the source. */
  stream: ReadableStreamLike | undefined;
  /** The source was consumed without a stream ever being made. */
  used: boolean;
}

export interface Extracted {
  body: BodyState;
  contentType: string | null;
}

function streamsModule(): typeof Streams {
  return require('./streams.ts') as typeof Streams;
}

export function bodyFrom(source: BodySource): BodyState {
  return { source, stream: undefined, used: false };
}

/** https://fetch.spec.whatwg.org/#concept-bodyinit-extract */
export function extractBody(init: unknown): Extracted {
  if (typeof init === 'string') return { body: bodyFrom(init.toWellFormed()), contentType: TEXT };
  if (typeof init === 'object' && init !== null) {
    if (brands.isBlob(init)) {
      const blob = init as Blob;
      return { body: bodyFrom(blobs().blobParts(blob)), contentType: blobs().blobType(blob) || null };
    }
    if (isBufferSource(init)) return { body: bodyFrom([copyBytes(init)]), contentType: null };
    if (brands.isFormData(init)) {
      const { parts, contentType } = multipart().encodeMultipart(forms().formEntries(init as FormData));
      return { body: bodyFrom(parts), contentType };
    }
    const form = brands.serializedSearchParams(init);
    if (form !== undefined) return { body: bodyFrom(form), contentType: URLENCODED };
    if (brands.isReadableStream(init)) {
      const stream = init as ReadableStreamLike;
      const streams = streamsModule();
      if (streams.isLocked(stream) || streams.isDisturbed(stream)) {
        throw new TypeError('The stream is locked or was read from already: it cannot be a body.');
      }
      return { body: { source: undefined, stream, used: false }, contentType: null };
    }
  }
  return { body: bodyFrom(toUsvString(init)), contentType: TEXT };
}

const TEXT = 'text/plain;charset=UTF-8';
const URLENCODED = 'application/x-www-form-urlencoded;charset=UTF-8';

export function isUnusable(body: BodyState | null): boolean {
  if (body === null) return false;
  if (body.used) return true;
  if (body.stream === undefined) return false;
  const streams = streamsModule();
  return streams.isDisturbed(body.stream) || streams.isLocked(body.stream);
}

export function isUsed(body: BodyState | null): boolean {
  if (body === null) return false;
  return body.used || (body.stream !== undefined && streamsModule().isDisturbed(body.stream));
}

export function streamOf(body: BodyState): ReadableStreamLike {
  if (body.stream !== undefined) return body.stream;
  const streams = streamsModule();
  const stream = streams.streamOfBytes(body.source === undefined ? [] : partsOf(body.source));
  if (body.used) {
    // Read already: what is left to show is a stream that is closed and locked by that reading.
    void streams.cancelStream(stream, undefined).catch(() => undefined);
    streams.readerOf(stream);
  }
  body.stream = stream;
  return stream;
}

/** A second body with the same content; the first goes on being usable. */
export function cloneBody(body: BodyState): BodyState {
  if (body.stream === undefined && body.source !== undefined) return bodyFrom(body.source);
  const [kept, given] = streamsModule().teeStream(streamOf(body));
  body.stream = kept;
  body.source = undefined;
  return { source: undefined, stream: given, used: false };
}

/** Takes the body as it lies in memory, or as a promise where it is a stream; afterwards it is used. */
export function takeBody(body: BodyState | null): BodySource | Promise<BodySource> {
  if (body === null) return '';
  if (isUnusable(body)) return Promise.reject(unusable());
  if (body.stream === undefined) {
    body.used = true;
    return body.source ?? '';
  }
  return streamsModule()
    .readAll(body.stream)
    .then((bytes) => [bytes]);
}

function unusable(): TypeError {
  return new TypeError('Body is unusable: Body has already been read');
}

function partsOf(source: BodySource): readonly Uint8Array[] {
  return typeof source === 'string' ? [encoding().encodeUtf8(source)] : source;
}

async function takeBytes(body: BodyState | null): Promise<Uint8Array<ArrayBuffer>> {
  const source = await takeBody(body);
  return typeof source === 'string' ? encoding().encodeUtf8(source) : joinParts(source);
}

async function takeText(body: BodyState | null): Promise<string> {
  const source = await takeBody(body);
  if (typeof source !== 'string')
    return encoding().decodeUtf8(source.length === 1 && source[0] ? source[0] : joinParts(source));
  // As bytes the string would lose a leading byte order mark in decoding.
  return source.startsWith('\ufeff') ? source.slice(1) : source;
}

/**
 * Gives an interface the Body members. `bodyOf` and `contentTypeOf` throw a TypeError for a foreign `this`, which
 * the async methods turn into a rejection.
 */
export function mixinBody<T extends object>(
  prototype: T,
  bodyOf: (target: T) => BodyState | null,
  contentTypeOf: (target: T) => string | null,
): void {
  const methods = {
    async arrayBuffer(this: T): Promise<ArrayBuffer> {
      return (await takeBytes(bodyOf(this))).buffer;
    },
    async blob(this: T): Promise<object> {
      const body = bodyOf(this);
      const mime = mimes().extractMimeType(contentTypeOf(this));
      return blobs().blobOf(await takeBytes(body), mime === null ? '' : mimes().serializeMimeType(mime));
    },
    async bytes(this: T): Promise<Uint8Array> {
      return takeBytes(bodyOf(this));
    },
    async formData(this: T): Promise<FormData> {
      const body = bodyOf(this);
      return parseForm(await takeBytes(body), contentTypeOf(this));
    },
    async json(this: T): Promise<unknown> {
      return JSON.parse(await takeText(bodyOf(this))) as unknown;
    },
    async text(this: T): Promise<string> {
      return takeText(bodyOf(this));
    },
  };
  for (const [key, value] of Object.entries(methods)) {
    Object.defineProperty(prototype, key, { value, writable: true, enumerable: true, configurable: true });
  }
  Object.defineProperty(prototype, 'body', {
    configurable: true,
    enumerable: true,
    get(this: T): ReadableStreamLike | null {
      const body = bodyOf(this);
      return body === null ? null : streamOf(body);
    },
  });
  Object.defineProperty(prototype, 'bodyUsed', {
    configurable: true,
    enumerable: true,
    get(this: T): boolean {
      return isUsed(bodyOf(this));
    },
  });
}

function parseForm(bytes: Uint8Array, contentType: string | null): FormData {
  const mime = mimes().extractMimeType(contentType);
  if (mime?.essence === 'multipart/form-data') {
    const boundary = mime.parameters.get('boundary');
    const entries =
      boundary === undefined || boundary === '' ? null : multipart().decodeMultipart(bytes, boundary);
    if (entries === null)
      throw new TypeError('Failed to parse body as FormData: it is no valid multipart/form-data.');
    return forms().formFrom(entries);
  }
  if (mime?.essence === 'application/x-www-form-urlencoded') {
    const { URLSearchParams } = require('./url.ts') as typeof Url;
    const entries: FormEntry[] = [];
    for (const [name, value] of new URLSearchParams(encoding().decodeUtf8(bytes).replace(/^\?/, '%3F'))) {
      entries.push([name, value]);
    }
    return forms().formFrom(entries);
  }
  throw new TypeError(
    'Content-Type was not one of "multipart/form-data" or "application/x-www-form-urlencoded": there is no form to parse.',
  );
}
