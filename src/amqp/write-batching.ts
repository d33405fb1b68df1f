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
  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  return () => {
    if (corked) return;
    corked = true;
    socket.cork();
    // amqplib moves frames to the socket in a setImmediate that it asks for in a nextTick: come right after it.
    process.nextTick(() => setImmediate(uncork));
  };
}
