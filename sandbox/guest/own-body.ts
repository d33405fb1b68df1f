import type { Body } from '../bridge/wire.ts';
import { arrayLength, copyInto, StringFromCharCode, Uint8 } from './primordials.ts';

/** Longer ones take more time to become text than text saves. */
const MAX_BYTES = 1_024;

/**
 * What a tenant gave for a body, as it crosses to the runner: bytes of the guest's own, because a view would take the whole
 * buffer behind it across, and what is looked at here can't be changed meanwhile; short ASCII as text.
 */
export function ownBody(body: Body): Body {
  if (typeof body === 'string') return body;
  const length = arrayLength(body);
  const copy = new Uint8(length);
  if (length > 0) copyInto(copy, body);
  return asciiText(copy, length) ?? copy;
}

/**
 * Short bytes as the text of the same bytes in UTF-8; undefined where they are no ASCII, or long. The texts of a batch cross to
 * the runner as one string, while each array of bytes is serialised by itself.
 */
function asciiText(bytes: Uint8Array, length: number): string | undefined {
  if (length > MAX_BYTES) return undefined;
  let bits = 0;
  for (let i = 0; i < length; i++) bits |= bytes[i]!;
  if (bits > 0x7f) return undefined;
  let text = '';
  let i = 0;
  for (; i + 8 <= length; i += 8)
    text += StringFromCharCode(
      bytes[i]!,
      bytes[i + 1]!,
      bytes[i + 2]!,
      bytes[i + 3]!,
      bytes[i + 4]!,
      bytes[i + 5]!,
      bytes[i + 6]!,
      bytes[i + 7]!,
    );
  for (; i < length; i++) text += StringFromCharCode(bytes[i]!);
  return text;
}
