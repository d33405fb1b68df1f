import { copyInto, Uint8 } from './primordials.ts';

const BLOCK_BYTES = 64;
const KEY_BYTES = 32;
/** After this much output fresh key material is asked for; output goes on meanwhile. */
const RESEED_BYTES = 64 * 1024;

export interface Random {
  bytes(length: number): Uint8Array;
  /** Mixes fresh bytes of the operating system into the key. */
  mix(fresh: Uint8Array): void;
}

/**
 * Cryptographic random bytes in the isolate, which has no source of its own: ChaCha20 (RFC 8439) keyed with 32 bytes of
 * the operating system, with fast key erasure: the first half of each first block is the next key, so that a key never
 * outlives a request for bytes. The runner's bytes come by message; V8's Math.random is no source for secrets.
 */
export function createRandom(seed: Uint8Array, askForMore: () => void): Random {
  let key = new Uint8(KEY_BYTES);
  copyInto(key, seed);
  let sinceSeed = 0;

  return {
    bytes(length) {
      const out = new Uint8(length);
      const block = new Uint8(BLOCK_BYTES);
      const used = key;
      key = new Uint8(KEY_BYTES);
      chacha20Block(used, 0, block);
      for (let i = 0; i < KEY_BYTES; i++) key[i] = block[i]!;
      let at = 0;
      for (let i = KEY_BYTES; i < BLOCK_BYTES && at < length; i++) out[at++] = block[i]!;
      for (let counter = 1; at < length; counter++) {
        chacha20Block(used, counter, block);
        for (let i = 0; i < BLOCK_BYTES && at < length; i++) out[at++] = block[i]!;
      }
      sinceSeed += length;
      if (sinceSeed >= RESEED_BYTES) {
        sinceSeed = 0;
        askForMore();
      }
      return out;
    },
    mix(fresh) {
      for (let i = 0; i < KEY_BYTES; i++) key[i]! ^= fresh[i] ?? 0;
    },
  };
}

const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
const ROUNDS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

/** One block of the key stream; the nonce is zero, because no key is used twice. */
export function chacha20Block(key: Uint8Array, counter: number, out: Uint8Array, nonce?: Uint8Array): void {
  const word = (bytes: Uint8Array, at: number): number =>
    bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  const start: number[] = [];
  for (let i = 0; i < 4; i++) start[i] = CONSTANTS[i]!;
  for (let i = 0; i < 8; i++) start[4 + i] = word(key, i * 4);
  start[12] = counter | 0;
  for (let i = 0; i < 3; i++) start[13 + i] = nonce === undefined ? 0 : word(nonce, i * 4);
  const s: number[] = [];
  for (let i = 0; i < 16; i++) s[i] = start[i]!;
  const turn = (at: number, by: number): number => (at << by) | (at >>> (32 - by));
  for (let round = 0; round < 10; round++) {
    for (let q = 0; q < 8; q++) {
      const { 0: a, 1: b, 2: c, 3: d } = ROUNDS[q]!;
      s[a] = (s[a]! + s[b]!) | 0;
      s[d] = turn(s[d]! ^ s[a], 16);
      s[c] = (s[c]! + s[d]) | 0;
      s[b] = turn(s[b]! ^ s[c], 12);
      s[a] = (s[a] + s[b]) | 0;
      s[d] = turn(s[d] ^ s[a], 8);
      s[c] = (s[c] + s[d]) | 0;
      s[b] = turn(s[b] ^ s[c], 7);
    }
  }
  for (let i = 0; i < 16; i++) {
    const sum = (s[i]! + start[i]!) | 0;
    for (let byte = 0; byte < 4; byte++) out[i * 4 + byte] = (sum >>> (8 * byte)) & 0xff;
  }
}
