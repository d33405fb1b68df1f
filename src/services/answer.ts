import type { BridgeReply } from '../protocol/messages.ts';

/** What a bridge call gives back to the isolate. */
export interface BridgeAnswer {
  readonly reply: BridgeReply;
  readonly body: Uint8Array;
}

const NO_BODY = new Uint8Array(0);

/** A bridge call that was not carried out, or failed: `code` is for programs, `error` for people. */
export function refused(code: string, error: string): BridgeAnswer {
  return { reply: { ok: false, code, error }, body: NO_BODY };
}
