/** The digests behind `crypto.subtle`, each from @noble/hashes. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { DOMException } from './dom-exception.ts';
import { toDomString } from './webidl.ts';

export type HashName = 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';

const HASHES = { 'SHA-1': sha1, 'SHA-256': sha256, 'SHA-384': sha384, 'SHA-512': sha512 } as const;

/** A hash by name or by `{ name }`, in any case; NotSupportedError for what is not there. */
export function normalizeHash(algorithm: unknown): HashName {
  const given =
    typeof algorithm === 'object' && algorithm !== null ? (algorithm as { name?: unknown }).name : algorithm;
  if (given === undefined) throw new TypeError('The algorithm must have a name.');
  const name = toDomString(given).toUpperCase();
  if (Object.hasOwn(HASHES, name)) return name as HashName;
  throw new DOMException(`Unrecognized algorithm name: ${name}`, 'NotSupportedError');
}

export function hashBlockBytes(name: HashName): number {
  return HASHES[name].blockLen;
}

export function digestOf(name: HashName, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(HASHES[name](data));
}

export function hmacOf(name: HashName, key: Uint8Array, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hmac(HASHES[name], key, data));
}
