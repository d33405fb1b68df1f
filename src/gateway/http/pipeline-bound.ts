import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that may stand behind one that is not answered yet. No browser or proxy sends a second one. */
export const MOST_BEHIND = 128;

/**
 * Ends connections that send request upon request without waiting for a reply (RFC 9112, section 9.3.2). Node reads on whatever is still to
 * be answered, and each request holds memory until its turn: refusals that are held back would let one connection pile up
 * tens of thousands.
 */
export class PipelineBound {
  readonly #behind = new WeakMap<Socket, number>();

  /** False where the request was one too many: its connection is gone then. */
  admits(socket: Socket, response: ServerResponse): boolean {
    // Node hands the connection to a response when it is its turn: so this one is behind no other.
    if (response.socket !== null) return true;
    const behind = (this.#behind.get(socket) ?? 0) + 1;
    if (behind > MOST_BEHIND) {
      socket.destroy();
      return false;
    }
    this.#behind.set(socket, behind);
    response.once('close', () => this.#behind.set(socket, (this.#behind.get(socket) ?? 1) - 1));
    return true;
  }
}
