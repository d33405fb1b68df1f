/**
 * TextEncoder and TextDecoder: the interface of https://encoding.spec.whatwg.org over the codecs of @exodus/bytes,
 * which are pure JavaScript. All single-byte encodings are there; the multi-byte ones of East Asia are not, because
 * their tables would double the bootstrap.
 */
import { withoutGlobals } from './runtime.ts';
import { exposeInterface, isBufferSource, requireArguments, toDictionary, toDomString } from './webidl.ts';

declare const require: (id: string) => unknown;

interface StreamDecoder {
  readonly encoding: string;
  decode(input: Uint8Array, options: { stream: boolean }): string;
}
interface Codecs {
  TextDecoder: new (label: string, options: { fatal: boolean; ignoreBOM: boolean }) => StreamDecoder;
  TextEncoder: new () => {
    encode(text: string): Uint8Array<ArrayBuffer>;
    encodeInto(text: string, target: Uint8Array): { read: number; written: number };
  };
}

// Evaluated with this module, which itself is only evaluated on first use.
const codecs = withoutGlobals(() => require('@exodus/bytes/encoding-lite.js')) as Codecs;
const utf8Encoder = new codecs.TextEncoder();
const utf8Decoder = new codecs.TextDecoder('utf-8', { fatal: false, ignoreBOM: false });
const utf8KeepBom = new codecs.TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return utf8Encoder.encode(text);
}

/** "UTF-8 decode": a leading byte order mark is dropped, bad bytes become U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes, { stream: false });
}

/** "UTF-8 decode without BOM": a leading byte order mark stays. */
export function decodeUtf8KeepBom(bytes: Uint8Array): string {
  return utf8KeepBom.decode(bytes, { stream: false });
}

/** Multi-byte encodings that the standard has and this isolate has not. */
const ABSENT = new Set(['big5', 'euc-jp', 'euc-kr', 'gb18030', 'gbk', 'iso-2022-jp', 'shift_jis']);

export class TextEncoder {
  // A private field makes calls on other objects a TypeError.
  #encoder: InstanceType<Codecs['TextEncoder']> = utf8Encoder;

  get encoding(): string {
    void this.#encoder;
    return 'utf-8';
  }

  encode(input: unknown = ''): Uint8Array<ArrayBuffer> {
    return this.#encoder.encode(toDomString(input));
  }

  encodeInto(source: unknown, destination: unknown): { read: number; written: number } {
    requireArguments(arguments.length, 2, 'TextEncoder.encodeInto');
    const text = toDomString(source);
    if (!(destination instanceof Uint8Array)) {
      throw new TypeError('TextEncoder.encodeInto: the destination must be a Uint8Array.');
    }
    const encoder = this.#encoder;
    return encodeInto(encoder, text, destination);
  }
}
exposeInterface(TextEncoder, 'TextEncoder');

export class TextDecoder {
  #decoder: StreamDecoder;
  #fatal: boolean;
  #ignoreBom: boolean;

  constructor(label: unknown = 'utf-8', options?: unknown) {
    const name = toDomString(label);
    const given = toDictionary(options, 'TextDecoder constructor');
    this.#fatal = Boolean(given['fatal']);
    this.#ignoreBom = Boolean(given['ignoreBOM']);
    let decoder: StreamDecoder;
    try {
      decoder = new codecs.TextDecoder(name, { fatal: this.#fatal, ignoreBOM: this.#ignoreBom });
    } catch {
      throw new RangeError(`TextDecoder constructor: the encoding "${name}" is not supported.`);
    }
    if (ABSENT.has(decoder.encoding)) {
      throw new RangeError(
        `TextDecoder constructor: the encoding "${decoder.encoding}" is not supported here.`,
      );
    }
    this.#decoder = decoder;
  }

  get encoding(): string {
    return this.#decoder.encoding;
  }

  get fatal(): boolean {
    return this.#fatal;
  }

  get ignoreBOM(): boolean {
    return this.#ignoreBom;
  }

  decode(input?: unknown, options?: unknown): string {
    const decoder = this.#decoder;
    if (input !== undefined && !isBufferSource(input)) {
      throw new TypeError('TextDecoder.decode: the input must be an ArrayBuffer or a view on one.');
    }
    const stream = Boolean(toDictionary(options, 'TextDecoder.decode')['stream']);
    const bytes = input === undefined ? new Uint8Array(0) : asBytes(input);
    try {
      return decoder.decode(bytes, { stream });
    } catch {
      throw new TypeError(`The encoded data was not valid for encoding ${decoder.encoding}`);
    }
  }
}
exposeInterface(TextDecoder, 'TextDecoder');

/** Like `bytesOf`, but a detached buffer reads as empty, as the standard wants. */
function asBytes(source: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (!ArrayBuffer.isView(source)) return source.detached ? new Uint8Array(0) : new Uint8Array(source);
  const buffer = source.buffer as ArrayBuffer;
  return buffer.detached ? new Uint8Array(0) : new Uint8Array(buffer, source.byteOffset, source.byteLength);
}

/** Only as much of the text as could fit is encoded, so a small window over a long text stays cheap. */
function encodeInto(
  encoder: InstanceType<Codecs['TextEncoder']>,
  text: string,
  destination: Uint8Array,
): { read: number; written: number } {
  return encoder.encodeInto(text.toWellFormed(), destination);
}
