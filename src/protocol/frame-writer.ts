import { encodeFrame, OVERHEAD_BYTES, putFrame, type ByteChunks, type FrameType } from './frame.ts';

const SLAB_BYTES = 64 * 1024;
/** Frames that may be longer than this share of a slab get a buffer of their own. */
const MOST_OF_SLAB = 1 / 4;
/** Bytes of UTF-8 that one of JavaScript's characters takes at most. */
const BYTES_PER_CHAR = 3;

/**
 * Collects frames that leave together. Short ones are written behind each other into one slab: a buffer for each, and a
 * write that gathers them, took a tenth of a runner's main thread.
 */
export class FrameWriter {
  readonly #slabBytes: number;
  #slab: Buffer;
  /** Of the slab: what was taken before, and what is written. */
  #from = 0;
  #to = 0;
  #parts: Uint8Array[] = [];

  constructor(slabBytes = SLAB_BYTES) {
    this.#slabBytes = slabBytes;
    this.#slab = Buffer.allocUnsafeSlow(slabBytes);
  }

  get empty(): boolean {
    return this.#from === this.#to && this.#parts.length === 0;
  }

  add(
    type: FrameType,
    isolate: number,
    id: number,
    aux: number,
    head: string,
    body: Uint8Array | ByteChunks | string = '',
  ): void {
    const most = BYTES_PER_CHAR * (head.length + body.length);
    if (most > this.#slabBytes * MOST_OF_SLAB || isChunks(body)) {
      this.#cut();
      this.#parts.push(...encodeFrame(type, isolate, id, aux, head, body));
      return;
    }
    if (this.#to + OVERHEAD_BYTES + most > this.#slab.length) this.#renew();
    this.#to = putFrame(this.#slab, this.#to, type, isolate, id, aux, head, body);
  }

  /** What was collected, in order; the next frames are another lot. The buffers are the taker's: nothing is written into them any more. */
  take(): Uint8Array[] {
    this.#cut();
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #cut(): void {
    if (this.#from < this.#to) this.#parts.push(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #renew(): void {
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(this.#slabBytes);
    this.#from = 0;
    this.#to = 0;
  }
}

const isChunks = (body: Uint8Array | ByteChunks | string): body is ByteChunks =>
  typeof body === 'object' && 'chunks' in body;
