import type { ServerResponse } from 'node:http';

/** Aborts when the client closes its connection before it has the reply. Has room for one listener: the call that runs. */
export class ClientGone {
  aborted = false;
  #listener: (() => void) | undefined;

  constructor(response: ServerResponse) {
    response.on('close', () => {
      if (response.writableFinished) return;
      this.aborted = true;
      this.#listener?.();
    });
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    if (this.#listener === listener) this.#listener = undefined;
  }
}
