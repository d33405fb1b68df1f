/** TextEncoderStream and TextDecoderStream, after https://encoding.spec.whatwg.org/#interface-textencoderstream. */
import { encodeUtf8, TextDecoder } from './encoding.ts';
import { TransformStream } from './streams.ts';
import { exposeInterface, isBufferSource, methodOf, toDomString } from './webidl.ts';

interface Pair {
  readonly readable: object;
  readonly writable: object;
}

export class TextEncoderStream {
  #pair: Pair;

  constructor() {
    // A lead surrogate at the end of a chunk waits for its trail at the start of the next.
    let lead = '';
    this.#pair = new TransformStream({
      transform(chunk, controller) {
        let text = lead + toDomString(chunk);
        lead = '';
        const last = text.charCodeAt(text.length - 1);
        if (last >= 0xd800 && last <= 0xdbff) {
          lead = text.slice(-1);
          text = text.slice(0, -1);
        }
        if (text !== '') controller.enqueue(encodeUtf8(text));
      },
      flush(controller) {
        if (lead !== '') controller.enqueue(new Uint8Array([0xef, 0xbf, 0xbd]));
      },
    });
  }

  get encoding(): string {
    void this.#pair;
    return 'utf-8';
  }
  get readable(): object {
    return this.#pair.readable;
  }
  get writable(): object {
    return this.#pair.writable;
  }
}
exposeInterface(TextEncoderStream, 'TextEncoderStream');

const decode = methodOf(TextDecoder.prototype, 'decode');

export class TextDecoderStream {
  #decoder: TextDecoder;
  #pair: Pair;

  constructor(label: unknown = 'utf-8', options?: unknown) {
    const decoder = new TextDecoder(label, options);
    this.#decoder = decoder;
    this.#pair = new TransformStream({
      transform(chunk, controller) {
        if (!isBufferSource(chunk)) {
          throw new TypeError('TextDecoderStream: a chunk must be an ArrayBuffer or a view on one.');
        }
        const text = Reflect.apply(decode, decoder, [chunk, { stream: true }]) as unknown;
        if (text !== '') controller.enqueue(text);
      },
      flush(controller) {
        const text = Reflect.apply(decode, decoder, []) as unknown;
        if (text !== '') controller.enqueue(text);
      },
    });
  }

  get encoding(): string {
    return this.#decoder.encoding;
  }
  get fatal(): boolean {
    return this.#decoder.fatal;
  }
  get ignoreBOM(): boolean {
    return this.#decoder.ignoreBOM;
  }
  get readable(): object {
    return this.#pair.readable;
  }
  get writable(): object {
    return this.#pair.writable;
  }
}
exposeInterface(TextDecoderStream, 'TextDecoderStream');
