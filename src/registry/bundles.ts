import { IsolambdaError } from '../errors/error.ts';
import type { Blobs } from '../store/blobs.ts';

/** A bundle as the pool loads it. */
export interface BundleParts {
  readonly code: Uint8Array;
  readonly map: Uint8Array;
}

/** A bundle is one blob: this mark, the code's length, the code, the source map. One file to sync, one to read. */
const MARK = 0x31424c49; // "ILB1", little-endian
const HEAD_BYTES = 8;

export function packBundle({ code, map }: BundleParts): Uint8Array {
  const packed = Buffer.allocUnsafe(HEAD_BYTES + code.byteLength + map.byteLength);
  packed.writeUInt32LE(MARK, 0);
  packed.writeUInt32LE(code.byteLength, 4);
  packed.set(code, HEAD_BYTES);
  packed.set(map, HEAD_BYTES + code.byteLength);
  return packed;
}

export function unpackBundle(packed: Uint8Array): BundleParts {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.byteLength < HEAD_BYTES || view.getUint32(0, true) !== MARK)
    throw new IsolambdaError('internal', 'a stored bundle has an unknown format');
  const codeEnd = HEAD_BYTES + view.getUint32(4, true);
  if (codeEnd > packed.byteLength) throw new IsolambdaError('internal', 'a stored bundle is cut short');
  return { code: packed.subarray(HEAD_BYTES, codeEnd), map: packed.subarray(codeEnd) };
}

export interface Bundles {
  /** From memory, or from the data folder; reads of one bundle at the same time are one read. */
  load(hash: string): Promise<BundleParts>;
  /** Its lambda is gone: it makes room. Where another has the same bundle, it is read again. */
  drop(hash: string): void;
  /** Bytes held. */
  readonly heldBytes: number;
}

/** Keeps the bundles that were loaded last, up to `maxBytes`: a cold start after an eviction then reads no disk. */
export function createBundles(blobs: Pick<Blobs, 'get'>, maxBytes: number): Bundles {
  // A Map keeps insertion order: the first is the one whose use is longest ago.
  const held = new Map<string, { parts: BundleParts; bytes: number }>();
  const reading = new Map<string, Promise<BundleParts>>();
  let heldBytes = 0;

  async function read(hash: string): Promise<BundleParts> {
    const packed = await blobs.get(hash);
    const parts = unpackBundle(packed);
    if (packed.byteLength > maxBytes) return parts;
    held.set(hash, { parts, bytes: packed.byteLength });
    heldBytes += packed.byteLength;
    for (const [oldest, { bytes }] of held) {
      if (heldBytes <= maxBytes) break;
      held.delete(oldest);
      heldBytes -= bytes;
    }
    return parts;
  }

  return {
    load(hash) {
      const there = held.get(hash);
      if (there !== undefined) {
        held.delete(hash);
        held.set(hash, there);
        return Promise.resolve(there.parts);
      }
      let read_ = reading.get(hash);
      if (read_ === undefined) {
        read_ = read(hash).finally(() => reading.delete(hash));
        reading.set(hash, read_);
      }
      return read_;
    },
    drop(hash) {
      heldBytes -= held.get(hash)?.bytes ?? 0;
      held.delete(hash);
    },
    get heldBytes() {
      return heldBytes;
    },
  };
}
