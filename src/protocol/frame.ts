/**
 * Frames on the socketpair between host and runner.
 *
 *     u32 length   of all that follows
 *     u8  type     see FrameType
 *     u32 isolate  which isolate of the runner, 0 for the runner itself
 *     u32 id       invocation, bridge call or ping that the frame belongs to
 *     u32 aux      result: CPU time charged, in microseconds; invoke: milliseconds left until the deadline;
 *                   cancel: CANCEL_ASKS, or 0; else 0
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
/** `aux` of a cancel frame: the lambda is asked to end, and its result is still waited for. 0 ends it. */
export const CANCEL_ASKS = 1;
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
/** Bytes of a frame besides its head and body. */
export const OVERHEAD_BYTES = PREFIX_BYTES + FIXED_BYTES;
const NO_BODY = Buffer.alloc(0);

/** Bytes that came in pieces, and may go on as such: joined, a large body is one more copy, and as much garbage again. */
export interface ByteChunks {
  readonly length: number;
  readonly chunks: readonly Uint8Array[];
}

/** One frame as bytes. A large body is not copied: it comes back as buffers of its own, to be written after the first. */
export function encodeFrame(
  type: FrameType,
  isolate: number,
  id: number,
  aux: number,
  head: string,
  body: Uint8Array | ByteChunks | string = NO_BODY,
): [Buffer, ...Uint8Array[]] {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
    const [start] = encodeFrame(type, isolate, id, aux, head);
    start.writeUInt32LE(start.length - PREFIX_BYTES + body.length, 0);
    return [start, ...body.chunks];
  }
  const headBytes = Buffer.byteLength(head);
  const bodyBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  const inline = typeof body === 'string' || bodyBytes <= INLINE_BODY_BYTES;
  const buffer = Buffer.allocUnsafe(OVERHEAD_BYTES + headBytes + (inline ? bodyBytes : 0));
  putNumbers(buffer, 0, type, isolate, id, aux, headBytes, bodyBytes);
  const bodyAt = OVERHEAD_BYTES + headBytes;
  buffer.write(head, OVERHEAD_BYTES, 'utf8');
  if (typeof body === 'string') buffer.write(body, bodyAt, 'utf8');
  else if (inline) buffer.set(body, bodyAt);
  else return [buffer, body];
  return [buffer];
}
const INLINE_BODY_BYTES = 16 * 1024;

/**
 * Writes one frame into `buffer` from `at` on, and returns where it ends. There must be room for it: three bytes for
 * each of a text's characters.
 */
export function putFrame(
  buffer: Buffer,
  at: number,
  type: FrameType,
  isolate: number,
  id: number,
  aux: number,
  head: string,
  body: Uint8Array | string,
): number {
  const headAt = at + OVERHEAD_BYTES;
  const headBytes = head === '' ? 0 : buffer.write(head, headAt, 'utf8');
  const bodyAt = headAt + headBytes;
  let bodyBytes = body.length;
  if (typeof body !== 'string') buffer.set(body, bodyAt);
  else if (bodyBytes > 0) bodyBytes = buffer.write(body, bodyAt, 'utf8');
  putNumbers(buffer, at, type, isolate, id, aux, headBytes, bodyBytes);
  return bodyAt + bodyBytes;
}

function putNumbers(
  buffer: Buffer,
  at: number,
  type: FrameType,
  isolate: number,
  id: number,
  aux: number,
  headBytes: number,
  bodyBytes: number,
): void {
  buffer.writeUInt32LE(FIXED_BYTES + headBytes + bodyBytes, at);
  buffer[at + 4] = type;
  buffer.writeUInt32LE(isolate, at + 5);
  buffer.writeUInt32LE(id, at + 9);
  buffer.writeUInt32LE(aux, at + 13);
  buffer.writeUInt32LE(headBytes, at + 17);
}

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
  /** Of the first chunk, what was read. */
  #at = 0;
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
      const length = this.#whole(PREFIX_BYTES).readUInt32LE(this.#at);
      if (length < FIXED_BYTES || length > this.#maxFrameBytes) {
        throw new FrameError(
          `frame of ${length} bytes; allowed are ${FIXED_BYTES} to ${this.#maxFrameBytes}`,
        );
      }
      const bytes = PREFIX_BYTES + length;
      if (this.#held < bytes) return;
      const frame = parse(this.#whole(bytes), this.#at, bytes);
      this.#skip(bytes);
      yield frame;
    }
  }

  /** A buffer that holds the next bytes in one piece, from `#at` on. */
  #whole(bytes: number): Buffer {
    const first = this.#chunks[0]!;
    if (first.length - this.#at >= bytes) return first;
    this.#chunks[0] = first.subarray(this.#at);
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [whole];
    this.#at = 0;
    return whole;
  }

  #skip(bytes: number): void {
    this.#held -= bytes;
    this.#at += bytes;
    if (this.#at < this.#chunks[0]!.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }
}

/** Reads in place: a view of each frame first, and of what is behind it, took a quarter of the time to cut a batch. */
function parse(bytes: Buffer, at: number, length: number): Frame {
  const headBytes = bytes.readUInt32LE(at + 17);
  const headAt = at + OVERHEAD_BYTES;
  const bodyAt = headAt + headBytes;
  const end = at + length;
  if (bodyAt > end) throw new FrameError(`head of ${headBytes} bytes in a frame of ${length}`);
  return {
    type: bytes[at + 4]!,
    isolate: bytes.readUInt32LE(at + 5),
    id: bytes.readUInt32LE(at + 9),
    aux: bytes.readUInt32LE(at + 13),
    head: bytes.toString('utf8', headAt, bodyAt),
    body: bytes.subarray(bodyAt, end),
  };
}
