/** HMAC keys as JSON Web Keys: https://w3c.github.io/webcrypto/#hmac-operations */
import { base64Functions, latin1FromBytes } from './base64.ts';
import type { HashName } from './crypto-hash.ts';
import { DOMException } from './dom-exception.ts';

const ALG: Record<HashName, string> = {
  'SHA-1': 'HS1',
  'SHA-256': 'HS256',
  'SHA-384': 'HS384',
  'SHA-512': 'HS512',
};

export function encodeJsonKey(bytes: Uint8Array, hash: HashName, usages: readonly string[]): object {
  const k = base64Functions
    .btoa(latin1FromBytes(bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
  return { key_ops: [...usages], ext: true, kty: 'oct', k, alg: ALG[hash] };
}

export function decodeJsonKey(
  value: unknown,
  hash: HashName,
  usages: readonly string[],
  extractable: boolean,
): Uint8Array<ArrayBuffer> {
  if (typeof value !== 'object' || value === null) throw invalid('a JSON Web Key must be an object');
  const { kty, k, alg, use, ext, key_ops: operations } = value as Record<string, unknown>;
  if (kty !== 'oct') throw invalid('"kty" must be "oct"');
  if (typeof k !== 'string' || !/^[A-Za-z0-9_-]*$/.test(k))
    throw invalid('"k" must be base64url without padding');
  if (alg !== undefined && alg !== ALG[hash]) throw invalid(`"alg" must be "${ALG[hash]}"`);
  if (use !== undefined && use !== 'sig') throw invalid('"use" must be "sig"');
  if (ext === false && extractable) throw invalid('"ext" is false, so the key cannot be extractable');
  if (operations !== undefined) {
    const allowed = Array.isArray(operations) ? (operations as unknown[]) : [];
    if (usages.some((usage) => !allowed.includes(usage)))
      throw invalid('"key_ops" does not allow the usages');
  }
  let text: string;
  try {
    text = base64Functions.atob(k.replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    throw invalid('"k" must be base64url without padding');
  }
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function invalid(why: string): DOMException {
  return new DOMException(`Invalid keyData: ${why}`, 'DataError');
}
