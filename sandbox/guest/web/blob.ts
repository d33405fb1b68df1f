/** Blob and File, after https://w3c.github.io/FileAPI. Bytes live in the isolate, in parts that are never changed. */
import { brands } from './brands.ts';
import { joinParts, sizeOf } from './bytes.ts';
import { registerCloneable } from './cloneable.ts';
import { decodeUtf8, encodeUtf8 } from './encoding.ts';
import type * as Streams from './streams.ts';
import {
  bytesOf,
  copyBytes,
  exposeInterface,
  isBufferSource,
  requireArguments,
  toDictionary,
  toUsvString,
} from './webidl.ts';

declare const require: (id: string) => unknown;

interface BlobState {
  readonly parts: readonly Uint8Array[];
  readonly size: number;
  readonly type: string;
}

let stateOf: (blob: Blob) => BlobState;
let isBlob: (value: unknown) => value is Blob;
let isFile: (value: unknown) => value is File;
/** Lets this file make a Blob of parts that it already owns. */
const owned = Symbol('Blob');

export class Blob {
  #state: BlobState;

  constructor(parts?: unknown, options?: unknown, state?: unknown) {
    if (parts === owned) {
      this.#state = state as BlobState;
      return;
    }
    const collected: Uint8Array[] = [];
    if (parts !== undefined) {
      if (typeof parts !== 'object' || parts === null || !(Symbol.iterator in parts)) {
        throw new TypeError('Blob constructor: the parts must be a sequence.');
      }
      const given = [...(parts as Iterable<unknown>)];
      const settings = toDictionary(options, 'Blob constructor');
      const endings = settings['endings'] === undefined ? 'transparent' : `${settings['endings'] as string}`;
      if (endings !== 'transparent' && endings !== 'native') {
        throw new TypeError(`Blob constructor: '${endings}' is no value for endings.`);
      }
      for (const part of given) collected.push(...bytesOfPart(part, endings === 'native'));
    }
    this.#state = { parts: collected, size: sizeOf(collected), type: typeOf(options) };
  }

  static {
    stateOf = (blob) => blob.#state;
    isBlob = (value): value is Blob => typeof value === 'object' && value !== null && #state in value;
  }

  get size(): number {
    return this.#state.size;
  }

  get type(): string {
    return this.#state.type;
  }

  slice(start?: unknown, end?: unknown, contentType?: unknown): Blob {
    const { parts, size } = this.#state;
    const from = clampIndex(start, size, 0);
    const to = Math.max(clampIndex(end, size, size), from);
    const type = contentType === undefined ? '' : normalizeType(`${contentType as string}`);
    return new Blob(owned, undefined, { parts: sliceParts(parts, from, to), size: to - from, type });
  }

  stream(): object {
    const { parts } = this.#state;
    const streams = require('./streams.ts') as typeof Streams;
    return streams.streamOfBytes(parts);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return joinParts(this.#state.parts).buffer;
  }

  async bytes(): Promise<Uint8Array> {
    return joinParts(this.#state.parts);
  }

  async text(): Promise<string> {
    return decodeUtf8(joinParts(this.#state.parts));
  }
}
exposeInterface(Blob, 'Blob');

export class File extends Blob {
  #name: string;
  #lastModified: number;

  constructor(parts: unknown, name: unknown, options?: unknown, state?: unknown) {
    if (parts !== owned) requireArguments(arguments.length, 2, 'File constructor');
    super(parts, options, state);
    this.#name = toUsvString(name);
    const modified = toDictionary(options, 'File constructor')['lastModified'];
    this.#lastModified = modified === undefined ? Date.now() : toLongLong(modified);
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }

  get webkitRelativePath(): string {
    void this.#name;
    return '';
  }

  static {
    isFile = (value): value is File => typeof value === 'object' && value !== null && #name in value;
  }
}
exposeInterface(File, 'File');

export { isBlob, isFile };

brands.isBlob = isBlob;
registerCloneable({
  is: isBlob,
  clone: (value) => {
    if (isFile(value)) return fileFrom(value, value.name, value.lastModified);
    return new Blob(owned, undefined, stateOf(value as Blob));
  },
});

export function blobParts(blob: Blob): readonly Uint8Array[] {
  return stateOf(blob).parts;
}

export function blobType(blob: Blob): string {
  return stateOf(blob).type;
}

/** A Blob over bytes that nobody else will change. */
export function blobOf(bytes: Uint8Array, type: string): Blob {
  return new Blob(owned, undefined, { parts: [bytes], size: bytes.length, type: normalizeType(type) });
}

/** A File over the bytes of a Blob. */
export function fileFrom(blob: Blob, name: string, lastModified: number): File {
  return new File(owned, name, { lastModified }, stateOf(blob));
}

function bytesOfPart(part: unknown, native: boolean): readonly Uint8Array[] {
  if (isBlob(part)) return stateOf(part).parts;
  if (isBufferSource(part)) return [copyBytes(part)];
  const text = toUsvString(part);
  return [encodeUtf8(native ? text.replaceAll(/\r\n?/g, '\n') : text)];
}

function typeOf(options: unknown): string {
  const type = toDictionary(options, 'Blob constructor')['type'];
  return type === undefined ? '' : normalizeType(`${type as string}`);
}

/** A type outside printable ASCII is no type. */
function normalizeType(type: string): string {
  return /^[\x20-\x7e]*$/.test(type) ? type.toLowerCase() : '';
}

function clampIndex(value: unknown, size: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  const index = toLongLong(value);
  return index < 0 ? Math.max(size + index, 0) : Math.min(index, size);
}

function toLongLong(value: unknown): number {
  const number = Math.trunc(Number(value));
  return Number.isFinite(number) ? number + 0 : 0;
}

function sliceParts(parts: readonly Uint8Array[], from: number, to: number): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let at = 0;
  for (const part of parts) {
    const start = Math.max(from - at, 0);
    const end = Math.min(to - at, part.length);
    if (start < end) slices.push(bytesOf(part).subarray(start, end));
    at += part.length;
  }
  return slices;
}
