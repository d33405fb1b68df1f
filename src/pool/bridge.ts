import { FrameError } from '../protocol/frame.ts';
import type { BridgeCall } from '../protocol/messages.ts';
import { refused, type BridgeAnswer } from '../services/answer.ts';
import type { GuestServices } from '../services/types.ts';
import type { Instance } from './instance.ts';

export interface BridgeRequest {
  readonly id: number;
  readonly call: BridgeCall;
  readonly body: Uint8Array;
}

/**
 * Carries out what a guest asks of the host, within the limits of its lambda, which the guest counts too: this count is the
 * one that a runner can't talk its way around. `answer` is called at most once, and not when the isolate is gone by then.
 * Throws FrameError for an id that is still under way.
 */
export function serveBridgeCall(
  services: GuestServices,
  instance: Instance,
  { id, call, body }: BridgeRequest,
  answer: (answer: BridgeAnswer) => void,
): void {
  if (instance.bridgeCalls.has(id)) throw new FrameError(`bridge call ${id} is still under way`);
  const owner = call.invocation === 0 ? undefined : instance.sent.get(call.invocation);
  if (call.invocation !== 0 && (owner === undefined || owner.settled)) {
    answer(refused('invocation_ended', 'the invocation that this request belongs to has ended'));
    return;
  }
  const refusal = overLimit(instance, call, body, owner ? owner.fetches : instance.ownFetches);
  if (refusal) {
    answer(refusal);
    return;
  }
  if (owner) owner.fetches += 1;
  else instance.ownFetches += 1;

  const controller = new AbortController();
  instance.bridgeCalls.set(id, controller);
  const signal = owner ? AbortSignal.any([owner.ended, controller.signal]) : controller.signal;
  services
    .call(instance.deployment, call, body, signal, owner?.invocation.trace?.context)
    .catch((error: unknown) => refused('internal', error instanceof Error ? error.name : 'unknown'))
    .then((reply) => {
      if (instance.bridgeCalls.get(id) !== controller) return;
      instance.bridgeCalls.delete(id);
      const { fetch_bytes } = instance.deployment.limits;
      answer(
        reply.body.length <= fetch_bytes
          ? reply
          : refused('fetch_too_large', `the answer has more than ${fetch_bytes} bytes (fetch_bytes)`),
      );
    })
    .catch(() => undefined);
}

function overLimit(
  instance: Instance,
  call: BridgeCall,
  body: Uint8Array,
  soFar: number,
): BridgeAnswer | undefined {
  const { fetches, fetch_concurrency, request_bytes, header_bytes } = instance.deployment.limits;
  if (soFar >= fetches)
    return refused('fetch_limit', `one invocation may make ${fetches} outward requests (fetches)`);
  if (instance.bridgeCalls.size >= fetch_concurrency)
    return refused(
      'fetch_concurrency',
      `${fetch_concurrency} outward requests are under way (fetch_concurrency)`,
    );
  if (body.length > request_bytes)
    return refused(
      'fetch_body_too_large',
      `the body has ${body.length} bytes; allowed are ${request_bytes} (request_bytes)`,
    );
  const headers = call.headers ?? [];
  let headerBytes = 0;
  for (const part of headers) headerBytes += part.length;
  if (headerBytes > header_bytes)
    return refused(
      'fetch_headers_too_large',
      `the headers have more than ${header_bytes} bytes (header_bytes)`,
    );
  if (headers.length % 2 !== 0) return refused('fetch_invalid', 'a header without a value');
  return undefined;
}
