import { randomBytes } from 'node:crypto';

const FRESH_BYTES = 32;

/** New key material for the guest's random generator (sandbox/guest/random.ts). */
export function freshBytes(): Uint8Array {
  return new Uint8Array(randomBytes(FRESH_BYTES));
}
