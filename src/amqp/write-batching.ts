import type { Socket } from 'node:net';
import type { Channel, ChannelModel } from 'amqplib';
import { socketOf } from './connection.ts';

/** Longer frames are written as they are: to copy them would cost more than a write of their own. */
const JOIN_BYTES = 16 * 1024;

/**
 * Puts the frames that a channel sends in one turn of the event loop into one write. amqplib takes each through a stream of its
 * own, two more turns and a write for each: half of what a small message costs, and a system call per frame.
 * Returns where they go, for frames that are encoded here. Where amqplib is not built as it was when this was written, it keeps its own
 * way, and there is nothing to return.
 */
export function batchWrites(model: ChannelModel, channel: Channel): ChannelWriter | undefined {
  const socket = socketOf(model);
  const number = 'ch' in channel && typeof channel.ch === 'number' ? channel.ch : undefined;
  const slot = number === undefined ? undefined : slotOf(model, number);
  if (!socket || !slot || number === undefined) return undefined;
  const writer = new TurnWriter(socket, slot.buffer);
  slot.buffer = writer;
  return { number, write: (frames) => writer.write(frames) };
}

/** Whole frames of one channel, in their place between those of amqplib. */
export interface ChannelWriter {
  /** The channel's. */
  readonly number: number;
  write(frames: Buffer): boolean;
}

/** What amqplib asks of the stream that a channel's frames go through. */
interface FrameSink {
  write(frame: Buffer): boolean;
  end(): unknown;
}

class TurnWriter implements FrameSink {
  readonly #socket: Socket;
  readonly #replaced: FrameSink;
  #frames: Buffer[] = [];
  #bytes = 0;

  constructor(socket: Socket, replaced: FrameSink) {
    this.#socket = socket;
    this.#replaced = replaced;
  }

  write(frame: Buffer): boolean {
    if (this.#frames.length === 0) setImmediate(this.#flush);
    this.#frames.push(frame);
    this.#bytes += frame.length;
    return !this.#socket.writableNeedDrain;
  }

  /** The channel is released. */
  end(): void {
    this.#flush();
    this.#replaced.end();
  }

  readonly #flush = (): void => {
    const frames = this.#frames;
    const bytes = this.#bytes;
    this.#frames = [];
    this.#bytes = 0;
    const socket = this.#socket;
    if (frames.length === 0 || !socket.writable) return;
    if (frames.length === 1) socket.write(frames[0]!);
    else if (bytes <= JOIN_BYTES * 2) socket.write(Buffer.concat(frames, bytes));
    else writeJoined(socket, frames);
  };
}

/** Short frames together, long ones by themselves, in their order. */
function writeJoined(socket: Socket, frames: readonly Buffer[]): void {
  socket.cork();
  let short: Buffer[] = [];
  let bytes = 0;
  const join = (): void => {
    if (short.length > 0) socket.write(Buffer.concat(short, bytes));
    short = [];
    bytes = 0;
  };
  for (const frame of frames) {
    if (frame.length > JOIN_BYTES || bytes + frame.length > JOIN_BYTES) join();
    if (frame.length > JOIN_BYTES) socket.write(frame);
    else {
      short.push(frame);
      bytes += frame.length;
    }
  }
  join();
  socket.uncork();
}

/** Where amqplib keeps a channel's stream: `connection.channels[number].buffer`. */
function slotOf(model: ChannelModel, number: number): { buffer: FrameSink } | undefined {
  const connection: object = model.connection;
  if (!('channels' in connection) || !Array.isArray(connection.channels)) return undefined;
  const slot: unknown = (connection.channels as unknown[])[number];
  if (typeof slot !== 'object' || slot === null || !('buffer' in slot) || !isSink(slot.buffer))
    return undefined;
  return slot as { buffer: FrameSink };
}

function isSink(value: unknown): value is FrameSink {
  return (
    typeof value === 'object' &&
    value !== null &&
    'write' in value &&
    typeof value.write === 'function' &&
    'end' in value &&
    typeof value.end === 'function'
  );
}
