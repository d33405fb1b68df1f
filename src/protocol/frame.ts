/**
 * Frames on the socketpair between host and runner.
 *
 *     u32 length   of all that follows
 *     u8  type     see FrameType
 *     u32 isolate  which isolate of the runner, 0 for the runner itself
 *     u32 id       invocation, bridge call or ping that the frame belongs to
 *     u32 aux      result: CPU time charged, in microseconds; invoke: milliseconds left until the deadline; else 0
 *     u32 head     length of the head
 *     ...          head: JSON text, UTF-8
 *     ...          body: opaque bytes
 *
 * Numbers are little-endian. Ids stand in the fixed part so that a runner passes a head on to its isolate unread.
 */

/** Host and runner must agree on this, and say it in their first frame. */
export const PROTOCOL_VERSION = 1;

export const FrameType = {
  // host to runner
  hello: 1,
  load: 2,
  unload: 3,
  invoke: 4,
  cancel: 5,
  bridgeReply: 6,
  configure: 7,
  ping: 8,
  // runner to host
  ready: 65,
  loaded: 66,
  loadFailed: 67,
  result: 68,
  log: 69,
  bridgeCall: 70,
  isolateGone: 71,
  pong: 72,
  unloaded: 73,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export interface Frame {
  readonly type: number;
  readonly isolate: number;
  readonly id: number;
  readonly aux: number;
  readonly head: string;
  readonly body: Buffer;
}

const PREFIX_BYTES = 4;
const FIXED_BYTES = 17;
const NO_BODY = Buffer.alloc(0);

/** One frame as bytes. A large body is not copied: it comes back as a second buffer, to be written after the first. */
export function encodeFrame(
  type: FrameType,
  isolate: number,
  id: number,
  aux: number,
  head: string,
  body: Uint8Array | string = NO_BODY,
): Uint8Array[] {
  const headBytes = Buffer.byteLength(head);
  const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  const inline = typeof body === 'string' || bodyBytes <= INLINE_BODY_BYTES;
  const buffer = Buffer.allocUnsafe(PREFIX_BYTES + FIXED_BYTES + headBytes + (inline ? bodyBytes : 0));
  buffer.writeUInt32LE(FIXED_BYTES + headBytes + bodyBytes, 0);
  buffer[4] = type;
  buffer.writeUInt32LE(isolate, 5);
  buffer.writeUInt32LE(id, 9);
  buffer.writeUInt32LE(aux, 13);
  buffer.writeUInt32LE(headBytes, 17);
  const bodyAt = PREFIX_BYTES + FIXED_BYTES + headBytes;
  buffer.write(head, PREFIX_BYTES + FIXED_BYTES, 'utf8');
  if (typeof body === 'string') buffer.write(body, bodyAt, 'utf8');
  else if (inline) buffer.set(body, bodyAt);
  else return [buffer, body];
  return [buffer];
}
const INLINE_BODY_BYTES = 16 * 1024;

export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/**
 * Cuts a byte stream into frames. Bytes come from the other side of a trust boundary: a length above
 * `maxFrameBytes`, or a head longer than its frame, throws a FrameError, after which the stream is lost.
 * A frame's body is a view into the received bytes where it arrived in one piece.
 */
export class FrameDecoder {
  #maxFrameBytes: number;
  #chunks: Buffer[] = [];
  #held = 0;

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes held back because their frame is not whole yet. */
  get pendingBytes(): number {
    return this.#held;
  }

  /** Lets larger frames pass from now on; never smaller ones, since one may be half in. */
  raiseTo(maxFrameBytes: number): void {
    this.#maxFrameBytes = Math.max(this.#maxFrameBytes, maxFrameBytes);
  }

  *push(chunk: Buffer): Generator<Frame, void, void> {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    for (;;) {
      if (this.#held < PREFIX_BYTES) return;
      const length = this.#peekLength();
      if (length < FIXED_BYTES || length > this.#maxFrameBytes) {
        throw new FrameError(
          `frame of ${length} bytes; allowed are ${FIXED_BYTES} to ${this.#maxFrameBytes}`,
        );
      }
      if (this.#held < PREFIX_BYTES + length) return;
      yield parse(this.#take(PREFIX_BYTES + length));
    }
  }

  #peekLength(): number {
    const first = this.#chunks[0];
    if (first && first.length >= PREFIX_BYTES) return first.readUInt32LE(0);
    return this.#join().readUInt32LE(0);
  }

  #join(): Buffer {
    const whole = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    return whole;
  }

  #take(bytes: number): Buffer {
    const first = this.#chunks[0]!;
    const source = first.length >= bytes ? first : this.#join();
    const rest = source.subarray(bytes);
    if (rest.length > 0) this.#chunks[0] = rest;
    else this.#chunks.shift();
    this.#held -= bytes;
    return source.subarray(0, bytes);
  }
}

function parse(bytes: Buffer): Frame {
  const headBytes = bytes.readUInt32LE(17);
  const headAt = PREFIX_BYTES + FIXED_BYTES;
  const bodyAt = headAt + headBytes;
  if (bodyAt > bytes.length) throw new FrameError(`head of ${headBytes} bytes in a frame of ${bytes.length}`);
  return {
    type: bytes[4]!,
    isolate: bytes.readUInt32LE(5),
    id: bytes.readUInt32LE(9),
    aux: bytes.readUInt32LE(13),
    head: bytes.toString('utf8', headAt, bodyAt),
    body: bytes.subarray(bodyAt),
  };
}
