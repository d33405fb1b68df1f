import { encodeFrame, OVERHEAD_BYTES, putFrame, type FrameType } from './frame.ts';

const SLAB_BYTES = 64 * 1024;
/** Frames that may be longer get a buffer of their own. */
const MAX_SLAB_FRAME_BYTES = 16 * 1024;
/** Bytes of UTF-8 that one of JavaScript's characters takes at most. */
const BYTES_PER_CHAR = 3;

/**
 * Collects frames that leave together. Short ones are written behind each other into one slab: a buffer for each, and a
 * write that gathers them, took a tenth of a runner's main thread.
 */
export class FrameWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Of the slab: what was taken before, and what is written. */
  #from = 0;
  #to = 0;
  #parts: Uint8Array[] = [];

  get empty(): boolean {
    return this.#from === this.#to && this.#parts.length === 0;
  }

  add(
    type: FrameType,
    isolate: number,
    id: number,
    aux: number,
    head: string,
    body: Uint8Array | string = '',
  ): void {
    const most = BYTES_PER_CHAR * (head.length + body.length);
    if (most > MAX_SLAB_FRAME_BYTES) {
      this.#cut();
      this.#parts.push(...encodeFrame(type, isolate, id, aux, head, body));
      return;
    }
    if (this.#to + OVERHEAD_BYTES + most > SLAB_BYTES) this.#renew();
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
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#from = 0;
    this.#to = 0;
  }
}
