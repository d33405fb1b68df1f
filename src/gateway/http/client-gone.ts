import type { ServerResponse } from 'node:http';
import { LightSignal } from '../../protocol/caller-signal.ts';

/** Aborts when the client closes its connection before it has the reply. */
export class ClientGone extends LightSignal {
  constructor(response: ServerResponse) {
    super();
    response.on('close', () => {
      if (!response.writableFinished) this.abort();
    });
  }
}
