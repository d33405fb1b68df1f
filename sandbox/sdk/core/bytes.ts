/** UTF-8 both ways without TextEncoder: the isolate has none of its own, and the polyfill should stay asleep. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(utf8Length(text));
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      bytes[at++] = code;
      continue;
    }
    if (code < 0x800) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 0x3f);
      continue;
    }
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = code < 0xdc00 ? text.charCodeAt(i + 1) : NaN;
      if (low >= 0xdc00 && low <= 0xdfff) {
        i++;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        bytes[at++] = 0xf0 | (code >> 18);
        bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
        bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
        bytes[at++] = 0x80 | (code & 0x3f);
        continue;
      }
      code = 0xfffd;
    }
    bytes[at++] = 0xe0 | (code >> 12);
    bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
    bytes[at++] = 0x80 | (code & 0x3f);
  }
  return bytes;
}

/** Bytes that a text takes in UTF-8; a lone surrogate counts as U+FFFD, which it becomes. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    if (code < 0x800) bytes += 1;
    else if (code < 0xd800 || code > 0xdfff) bytes += 2;
    else if (code < 0xdc00 && text.charCodeAt(i + 1) >= 0xdc00 && text.charCodeAt(i + 1) <= 0xdfff) {
      bytes += 2; // four for the pair
      i++;
    } else bytes += 2;
  }
  return bytes;
}

/** Decodes; what is no UTF-8 becomes U+FFFD, one for each maximal part of a sequence, as the Encoding Standard says. */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = '';
  let units: number[] = [];
  let i = 0;
  const push = (code: number): void => {
    if (code > 0xffff) {
      units.push(0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
    } else units.push(code);
    if (units.length >= 8_192) {
      text += String.fromCharCode(...units);
      units = [];
    }
  };
  while (i < bytes.length) {
    const first = bytes[i++]!;
    if (first < 0x80) {
      push(first);
      continue;
    }
    const need =
      first >= 0xc2 && first <= 0xdf
        ? 1
        : first >= 0xe0 && first <= 0xef
          ? 2
          : first >= 0xf0 && first <= 0xf4
            ? 3
            : 0;
    if (need === 0) {
      push(0xfffd);
      continue;
    }
    let code = first & (0x3f >> need);
    let low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    let high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    let taken = 0;
    while (taken < need && i < bytes.length && bytes[i]! >= low && bytes[i]! <= high) {
      code = (code << 6) | (bytes[i++]! & 0x3f);
      low = 0x80;
      high = 0xbf;
      taken++;
    }
    push(taken === need ? code : 0xfffd);
  }
  return text + String.fromCharCode(...units);
}

/** The bytes of an ArrayBuffer or a view, without copying; undefined for anything else. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return undefined;
}
