import type { Deployment } from '../config/deployment.ts';
import type { BridgeCall, LogHead } from '../protocol/messages.ts';
import type { TraceContext } from '../telemetry/trace-context.ts';
import type { BridgeAnswer } from './answer.ts';

/** What a guest may reach outside its isolate. The pool hands every bridge call and log frame here. */
export interface GuestServices {
  /** Never rejects: a refusal is `{ ok: false }`. `signal` aborts when the invocation ended; `trace` is its place in a trace. */
  call(
    guest: Deployment,
    call: BridgeCall,
    body: Uint8Array,
    signal: AbortSignal,
    trace: TraceContext | undefined,
  ): Promise<BridgeAnswer>;
  log(guest: Deployment, head: LogHead): void;
}
