/** Local headers and data descriptors, held against the central directory; and how the entries lie in the file. */
import { quote } from './problem.ts';
import type { Problem } from '../errors/problem.ts';
import { FLAG_DESCRIPTOR, FLAG_UTF8, PACK_AGAIN, refuse, type Central } from './zip-format.ts';

const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const DESCRIPTOR_SIGNATURE = 0x08074b50;

/** What the local header, or the descriptor after the data, says else than the central directory. */
export function checkLocal(zip: Buffer, entry: Central): string | undefined {
  const at = entry.localAt;
  if (at + LOCAL_BYTES > zip.length || zip.readUInt32LE(at) !== LOCAL_SIGNATURE)
    return 'its local header is missing';
  const dataAt = localDataAt(zip, entry);
  const nameAt = at + LOCAL_BYTES;
  const nameLength = zip.readUInt16LE(at + 26);
  if (dataAt + entry.compressedBytes > zip.length) return 'its bytes run over the end of the archive';
  if (!zip.subarray(nameAt, nameAt + nameLength).equals(entry.nameBytes))
    return 'its local header has another name than the central directory';
  if (zip.readUInt16LE(at + 8) !== entry.method) return 'its local header has another method';
  const flags = zip.readUInt16LE(at + 6);
  // Bits 1 and 2 only tell how hard the packer tried; the rest changes how the entry is read.
  if (((flags ^ entry.flags) & ~0b110) !== 0) {
    // UTF-8 is said by one header only in archives of some old packers; for ASCII names it means nothing.
    const onlyUtf8 = ((flags ^ entry.flags) & ~0b110) === FLAG_UTF8;
    if (!onlyUtf8 || entry.nameBytes.some((byte) => byte > 0x7f)) return 'its local header has other flags';
  }
  const said = [zip.readUInt32LE(at + 14), zip.readUInt32LE(at + 18), zip.readUInt32LE(at + 22)];
  const meant = [entry.crc, entry.compressedBytes, entry.bytes];
  const deferred = (flags & FLAG_DESCRIPTOR) !== 0;
  const agrees = said.every((value, index) => value === meant[index] || (deferred && value === 0));
  if (!agrees) return 'its local header has other sizes or another checksum than the central directory';
  if (deferred && descriptorBytes(zip, entry, dataAt + entry.compressedBytes) === undefined)
    return 'the sizes after its data are missing, or others than in the central directory';
  return undefined;
}

const localDataAt = (zip: Buffer, entry: Central): number =>
  entry.localAt + LOCAL_BYTES + zip.readUInt16LE(entry.localAt + 26) + zip.readUInt16LE(entry.localAt + 28);

/** Length of the data descriptor, with or without its optional signature; undefined where it does not agree. */
function descriptorBytes(zip: Buffer, entry: Central, at: number): number | undefined {
  for (const skip of [4, 0]) {
    if (at + skip + 12 > zip.length || (skip === 4 && zip.readUInt32LE(at) !== DESCRIPTOR_SIGNATURE))
      continue;
    const agrees =
      zip.readUInt32LE(at + skip) === entry.crc &&
      zip.readUInt32LE(at + skip + 4) === entry.compressedBytes &&
      zip.readUInt32LE(at + skip + 8) === entry.bytes;
    if (agrees) return skip + 12;
  }
  return undefined;
}

/** Entries must lie side by side from the first byte to the central directory: no byte twice, none hidden between. */
export function checkTiling(zip: Buffer, entries: readonly Central[], centralAt: number): Problem[] {
  const readable = entries.every(
    (entry) =>
      entry.localAt + LOCAL_BYTES <= zip.length && zip.readUInt32LE(entry.localAt) === LOCAL_SIGNATURE,
  );
  if (!readable) return [];
  let at = 0;
  for (const entry of entries.toSorted((a, b) => a.localAt - b.localAt)) {
    const label = entry.name ?? entry.nameBytes.toString('latin1');
    if (entry.localAt < at)
      return [
        refuse('zip_overlap', `${quote(label)} shares bytes with the entry before it`, PACK_AGAIN, label),
      ];
    if (entry.localAt > at)
      return at === 0
        ? [refuse('zip_prepended_data', `${entry.localAt} bytes stand before the first entry`)]
        : [
            refuse(
              'zip_hidden_data',
              `${entry.localAt - at} bytes before ${quote(label)} belong to no entry`,
              PACK_AGAIN,
              label,
            ),
          ];
    const dataEnd = localDataAt(zip, entry) + entry.compressedBytes;
    at = dataEnd;
    if (entry.flags & FLAG_DESCRIPTOR) at += descriptorBytes(zip, entry, dataEnd) ?? 0;
  }
  if (at > centralAt)
    return [refuse('zip_overlap', 'the last entry shares bytes with the central directory')];
  if (at < centralAt)
    return [
      refuse('zip_hidden_data', `${centralAt - at} bytes before the central directory belong to no entry`),
    ];
  return [];
}
