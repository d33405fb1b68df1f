import { Server, type RequestListener, type ServerOptions } from 'node:http';
import type { Socket } from 'node:net';

const SWEEP_MS = 100;

/**
 * An HTTP server that ends its connections after a reply, not before a request. Node closes idle connections in the moment in
 * which a server closes, and with them the requests that are just on their way: a client that keeps its connections sees these
 * fail. Here a kept connection may bring one more request within `lingerMs`; its reply says `Connection: close`.
 */
export class DrainingServer extends Server {
  readonly #sockets = new Set<Socket>();
  readonly #lingerMs: number;
  #sweep: NodeJS.Timeout | undefined;
  #lingers = true;

  constructor(options: ServerOptions, lingerMs: number, onRequest: RequestListener) {
    super(options, onRequest);
    this.#lingerMs = lingerMs;
    this.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Call it before `close`, which ends with the last connection. */
  drain(): void {
    const until = performance.now() + this.#lingerMs;
    this.#sweep ??= setInterval(() => {
      if (performance.now() < until) return;
      this.#lingers = false;
      // One that turned idle later would hold the close until its keep-alive ends; one that never said anything is not idle to
      // Node, which waits for its first request.
      super.closeIdleConnections();
      for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    }, SWEEP_MS);
  }

  /** Not on the server's own `close` event: one that never listened has none. */
  drained(): void {
    clearInterval(this.#sweep);
  }

  /** Node calls it from `close`. */
  override closeIdleConnections(): void {
    if (!this.#lingers) super.closeIdleConnections();
  }
}
