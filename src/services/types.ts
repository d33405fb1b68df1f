import type { BridgeCall, BridgeReply, LogHead } from '../protocol/messages.ts';

/** Whose isolate asks. */
export interface GuestIdentity {
  readonly accountId: string;
  readonly lambdaId: string;
  readonly version: number;
}

/** What a guest may reach outside its isolate. The pool hands every bridge call and log frame here. */
export interface GuestServices {
  /** Never rejects: a refusal is `{ ok: false }`. `signal` aborts when the invocation ended. */
  call(
    guest: GuestIdentity,
    call: BridgeCall,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ reply: BridgeReply; body: Uint8Array }>;
  log(guest: GuestIdentity, head: LogHead): void;
}
