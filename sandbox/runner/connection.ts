import { Socket } from 'node:net';
import { FrameDecoder, type Frame, type FrameType } from '../../src/protocol/frame.ts';
import { FrameWriter } from '../../src/protocol/frame-writer.ts';

/** The host is trusted by the runner; the bound only keeps a broken stream from being taken for a length. */
const MAX_FRAME_BYTES = 0x4000_0000;

export interface Connection {
  /** Queues a frame; all frames of one turn of the event loop leave in one write. */
  send(
    type: FrameType,
    isolate: number,
    id: number,
    aux: number,
    head: string,
    body?: Uint8Array | string,
  ): void;
  /** Hands what was sent to the kernel in this very turn, as far as that takes it. */
  writeNow(): void;
  /** Calls back when all that was sent has been handed to the kernel, or can't be. */
  flush(done: () => void): void;
}

/**
 * The socketpair to the host. `onFrames` gets the frames of one chunk together, so that what arrived in one turn
 * can enter its isolate in one call. `onClose` is called once, when the host is gone.
 */
export function openConnection(
  fd: number,
  onFrames: (frames: Iterable<Frame>) => void,
  onClose: () => void,
): Connection {
  const socket = new Socket({ fd, readable: true, writable: true });
  const decoder = new FrameDecoder(MAX_FRAME_BYTES);
  const outgoing = new FrameWriter();
  let scheduled = false;

  const write = (): void => {
    scheduled = false;
    const parts = outgoing.take();
    if (parts.length === 1) {
      socket.write(parts[0]!);
      return;
    }
    socket.cork();
    for (const part of parts) socket.write(part);
    socket.uncork();
  };

  socket.on('data', (chunk: Buffer) => onFrames(decoder.push(chunk)));
  socket.on('error', () => socket.destroy());
  socket.on('close', onClose);
  return {
    send(type, isolate, id, aux, head, body) {
      outgoing.add(type, isolate, id, aux, head, body);
      if (scheduled) return;
      scheduled = true;
      setImmediate(write);
    },
    writeNow() {
      if (!outgoing.empty) write();
    },
    flush(done) {
      if (!outgoing.empty) write();
      if (socket.destroyed) done();
      else socket.write('', () => done());
    },
  };
}
