import type { ChannelModel } from 'amqplib';
import { socketOf } from './connection.ts';

/**
 * Puts the writes of one turn of the event loop together: amqplib writes each frame to the socket by itself, and a
 * system call per frame is what limits small messages. Returns a function to call after frames were handed over.
 */
export function batchWrites(model: ChannelModel): () => void {
  const socket = socketOf(model);
  if (!socket) return () => undefined;
  let corked = false;
  let again = false;
  // amqplib moves frames to the socket in a setImmediate that it asks for in a nextTick: come right after it.
  const later = (): void => process.nextTick(() => setImmediate(uncork));
  const uncork = (): void => {
    socket.uncork();
    corked = again;
    again = false;
    if (!corked) return;
    // Frames that came since then may still be on their way to the socket, which would write them one by one.
    socket.cork();
    later();
  };
  return () => {
    if (corked) {
      again = true;
      return;
    }
    corked = true;
    socket.cork();
    later();
  };
}
