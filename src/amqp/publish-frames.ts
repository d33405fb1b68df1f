import type { Options } from 'amqplib';

/** What a plain reply carries: no headers, nothing that a queue would ask for. */
const PLAIN: ReadonlySet<string> = new Set(['contentType', 'correlationId', 'timestamp']);

const METHOD_FRAME = 1;
const HEADER_FRAME = 2;
const BODY_FRAME = 3;
const FRAME_END = 0xce;
/** Type, channel and size before a frame's payload, and the end behind it. */
const FRAME_HEAD_BYTES = 7;
const FRAME_BYTES = FRAME_HEAD_BYTES + 1;
/** Class and method, ticket, lengths of exchange and routing key, flags. */
const METHOD_BYTES = 4 + 2 + 1 + 1 + 1;
/** Class and weight, size of the body, flags, lengths of content type, headers and correlation id, timestamp. */
const PROPERTIES_BYTES = 4 + 8 + 2 + 1 + 4 + 1 + 8;
const BASIC_PUBLISH = 0x003c_0028;
const BASIC = 0x003c_0000;
const CONTENT_TYPE = 1 << 15;
const HEADERS = 1 << 13;
const CORRELATION_ID = 1 << 10;
const TIMESTAMP = 1 << 6;
const SHORT_STRING_BYTES = 255;
/** Every broker takes frames of this length. */
const FRAME_MIN_SIZE = 4096;

/**
 * `basic.publish` to the default exchange with its properties and its body, as one piece (AMQP 0-9-1, 4.2): amqplib makes
 * three buffers of it, and encodes every property that there is. Undefined for what is beyond this: it is amqplib's then.
 */
export function encodePublish(
  channel: number,
  routingKey: string,
  body: Uint8Array,
  options: Options.Publish,
): Buffer | undefined {
  for (const key in options) if (!PLAIN.has(key)) return undefined;
  const { contentType, correlationId, timestamp } = options;
  const { length } = body;
  if (contentType === undefined || correlationId === undefined || timestamp === undefined) return undefined;
  if (length === 0 || length > FRAME_MIN_SIZE - FRAME_BYTES) return undefined;
  if (!isShortAscii(routingKey) || !isShortAscii(contentType) || !isShortAscii(correlationId))
    return undefined;
  const methodBytes = METHOD_BYTES + routingKey.length;
  const propertiesBytes = PROPERTIES_BYTES + contentType.length + correlationId.length;
  const frames = Buffer.allocUnsafe(3 * FRAME_BYTES + methodBytes + propertiesBytes + length);

  let at = beginFrame(frames, 0, METHOD_FRAME, channel, methodBytes);
  at = frames.writeUInt32BE(BASIC_PUBLISH, at);
  at = frames.writeUInt16BE(0, at);
  at = writeShort(frames, at, '');
  at = writeShort(frames, at, routingKey);
  frames[at++] = 0;
  frames[at++] = FRAME_END;

  at = beginFrame(frames, at, HEADER_FRAME, channel, propertiesBytes);
  at = frames.writeUInt32BE(BASIC, at);
  at = writeLong(frames, at, length);
  at = frames.writeUInt16BE(CONTENT_TYPE | HEADERS | CORRELATION_ID | TIMESTAMP, at);
  at = writeShort(frames, at, contentType);
  // None, but there: callers look into them without asking.
  at = frames.writeUInt32BE(0, at);
  at = writeShort(frames, at, correlationId);
  at = writeLong(frames, at, timestamp);
  frames[at++] = FRAME_END;

  at = beginFrame(frames, at, BODY_FRAME, channel, length);
  frames.set(body, at);
  frames[at + length] = FRAME_END;
  return frames;
}

/** One byte a character, and no more of them than a short string holds. */
function isShortAscii(text: string): boolean {
  return text.length <= SHORT_STRING_BYTES && Buffer.byteLength(text) === text.length;
}

function beginFrame(frames: Buffer, at: number, type: number, channel: number, bytes: number): number {
  frames[at] = type;
  frames.writeUInt16BE(channel, at + 1);
  return frames.writeUInt32BE(bytes, at + 3);
}

function writeShort(frames: Buffer, at: number, ascii: string): number {
  frames[at] = ascii.length;
  return at + 1 + frames.write(ascii, at + 1, 'latin1');
}

/** 64 bits, of a whole number that JavaScript can hold. */
function writeLong(frames: Buffer, at: number, value: number): number {
  frames.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  return frames.writeUInt32BE(value >>> 0, at + 4);
}
