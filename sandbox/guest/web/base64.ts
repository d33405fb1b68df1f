/**
 * atob and btoa, after https://infra.spec.whatwg.org/#forgiving-base64. Written here because the kept library
 * decodes strictly, and these two must forgive white space, absent padding and left-over bits.
 */
import { DOMException } from './dom-exception.ts';
import { requireArguments, toDomString } from './webidl.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const codeOf = new Uint8Array(64);
/** -1: no base64 character. */
const valueOf = new Int8Array(256).fill(-1);
for (let i = 0; i < 64; i++) {
  codeOf[i] = ALPHABET.charCodeAt(i);
  valueOf[ALPHABET.charCodeAt(i)] = i;
}

/** Characters per String.fromCharCode call: far below V8's limit on arguments, far above one. */
const CHUNK = 8192;
const fromCharCode = String.fromCharCode;

/** A string of the characters U+0000 to U+00FF that the bytes stand for. */
export function latin1FromBytes(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += Reflect.apply(fromCharCode, undefined, bytes.subarray(at, at + CHUNK)) as string;
  }
  return text;
}

export const base64Functions = {
  btoa(data: unknown): string {
    requireArguments(arguments.length, 1, 'btoa');
    const text = toDomString(data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 255) {
        throw new DOMException(
          'btoa: the string has a character outside of U+0000 to U+00FF.',
          'InvalidCharacterError',
        );
      }
      bytes[i] = code;
    }
    return latin1FromBytes(encode(bytes));
  },

  atob(data: unknown): string {
    requireArguments(arguments.length, 1, 'atob');
    return latin1FromBytes(decode(toDomString(data)));
  },
};

function encode(bytes: Uint8Array): Uint8Array {
  const whole = bytes.length - (bytes.length % 3);
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let at = 0;
  for (let i = 0; i < whole; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out[at++] = codeOf[bits >> 18] ?? 0;
    out[at++] = codeOf[(bits >> 12) & 63] ?? 0;
    out[at++] = codeOf[(bits >> 6) & 63] ?? 0;
    out[at++] = codeOf[bits & 63] ?? 0;
  }
  if (whole < bytes.length) {
    const two = bytes.length - whole === 2;
    const bits = ((bytes[whole] ?? 0) << 16) | ((two ? (bytes[whole + 1] ?? 0) : 0) << 8);
    out[at++] = codeOf[bits >> 18] ?? 0;
    out[at++] = codeOf[(bits >> 12) & 63] ?? 0;
    out[at++] = two ? (codeOf[(bits >> 6) & 63] ?? 0) : 61;
    out[at++] = 61;
  }
  return out;
}

function decode(text: string): Uint8Array {
  // Sextets first: white space and padding make positions in the text meaningless.
  const sextets = new Uint8Array(text.length);
  let count = 0;
  let padding = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 32 || code === 9 || code === 10 || code === 12 || code === 13) continue;
    if (code === 61) {
      padding++;
      continue;
    }
    const value = code < 256 ? (valueOf[code] ?? -1) : -1;
    if (value < 0 || padding > 0) throw malformed();
    sextets[count++] = value;
  }
  const rest = count % 4;
  // Padding is optional, but where it stands it must fill the last group of four.
  if (rest === 1 || padding > 2 || (padding > 0 && (count + padding) % 4 !== 0)) throw malformed();
  const out = new Uint8Array(((count - rest) / 4) * 3 + (rest === 0 ? 0 : rest - 1));
  let at = 0;
  for (let i = 0; i < count; i += 4) {
    const bits =
      ((sextets[i] ?? 0) << 18) |
      ((sextets[i + 1] ?? 0) << 12) |
      ((i + 2 < count ? (sextets[i + 2] ?? 0) : 0) << 6) |
      (i + 3 < count ? (sextets[i + 3] ?? 0) : 0);
    out[at++] = bits >> 16;
    if (at < out.length) out[at++] = (bits >> 8) & 255;
    if (at < out.length) out[at++] = bits & 255;
  }
  return out;
}

function malformed(): DOMException {
  return new DOMException('The string to be decoded is not correctly encoded.', 'InvalidCharacterError');
}
