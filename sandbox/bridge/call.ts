const MAX_HEAD_CHARS = 128 * 1024;
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/**
 * Whether a bridge call of the guest may go to the host, by its size alone: the host checks its shape, counts it
 * against the invocation's limits, and decides what it reaches.
 */
export function acceptBridgeCall(head: string, body: string | Uint8Array): boolean {
  return head.length <= MAX_HEAD_CHARS && body.length <= MAX_BODY_BYTES;
}

/** Whether the guest could not say which invocation asks: several were in the entry, and the call came after an `await`. */
export function isOfUnknownOwner(head: string): boolean {
  return head.startsWith('{"bridge":"fetch","invocation":0,');
}
