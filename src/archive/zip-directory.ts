/**
 * The structure of a zip, read by ourselves before any library sees it. Zip readers disagree about archives that
 * say two things at once (two end records, a local header that differs from the central one, entries that share
 * bytes): all of these are refused, so that what was checked is what will be unpacked.
 *
 * Layout: PKWARE APPNOTE 6.3.10, sections 4.3.6 to 4.3.16, 4.4 and 4.5.
 */
import { error, quote } from './problem.ts';
import type { Problem } from './types.ts';

export interface ZipEntry {
  /** As it stands in the central directory. */
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly isDirectory: boolean;
  readonly method: 0 | 8;
  readonly compressedBytes: number;
  /** As declared; unpacking is held to it. */
  readonly bytes: number;
}

export interface ZipLimits {
  readonly archive_files: number;
  readonly unpacked_bytes: number;
}

export type ZipDirectory =
  | { readonly ok: true; readonly entries: readonly ZipEntry[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const ZIP64_LOCATOR_BYTES = 20;
const MAX_COMMENT_BYTES = 0xffff;
/** adm-zip looks for zip64 records this far before the end record. */
const ZIP64_SEARCH_BYTES = 56 + ZIP64_LOCATOR_BYTES;

const FLAG_ENCRYPTED = 1 << 0;
const FLAG_DESCRIPTOR = 1 << 3;
const FLAG_PATCH = 1 << 5;
const FLAG_STRONG_ENCRYPTION = 1 << 6;
const FLAG_UTF8 = 1 << 11;
const FLAG_MASKED = 1 << 13;
const EXTRA_ZIP64 = 0x0001;
const EXTRA_UNICODE_PATH = 0x7075;
const EXTRA_AES = 0x9901;

/** Entries below this size are small enough whatever their ratio. */
export const RATIO_FROM_BYTES = 1024 * 1024;
/** Text of real projects packs 3 to 30 times; deflate itself ends at 1,032. */
export const MAX_RATIO = 200;

const PACK_AGAIN = 'Make the archive again with isolambda pack, or with zip -r from inside the folder.';
const PLAIN_ZIP = 'Make a plain zip: no encryption, no splitting, methods store or deflate.';

const refuse = (rule: string, message: string, mend = PACK_AGAIN, file?: string): Problem =>
  error(rule, message, mend, { file });

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads and checks the whole structure. Each thing wrong is told; nothing is unpacked. */
export function readZipDirectory(zip: Buffer, limits: ZipLimits): ZipDirectory {
  const end = findEnd(zip);
  if (!end.ok) return end;
  const problems: Problem[] = [];
  const entries: Central[] = [];
  let at = end.centralAt;
  for (let index = 0; index < end.count; index++) {
    const entry = readCentral(zip, at, end.at);
    if (typeof entry === 'string')
      return { ok: false, problems: [refuse('zip_broken', `entry ${index + 1}: ${entry}`)] };
    entries.push(entry);
    at = entry.next;
  }
  if (at !== end.at)
    return {
      ok: false,
      problems: [refuse('zip_broken', `the central directory holds more than its ${end.count} entries`)],
    };
  for (const entry of entries) problems.push(...checkEntry(zip, entry));
  // Sizes that were found to be wrong would only lead to more of the same.
  if (problems.length === 0) problems.push(...checkSizes(entries, limits));
  const told = problems.length > 0;
  const tiling = checkTiling(zip, entries, end.centralAt);
  problems.push(...tiling.filter(({ rule }) => !told || rule === 'zip_overlap'));
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    entries: entries.map((entry) => ({
      name: entry.name ?? '',
      nameBytes: entry.nameBytes,
      isDirectory: entry.nameBytes.at(-1) === SLASH,
      method: entry.method === 0 ? 0 : 8,
      compressedBytes: entry.compressedBytes,
      bytes: entry.bytes,
    })),
  };

  function findEnd(bytes: Buffer) {
    const found = locateEnd(bytes);
    if ('problem' in found) return { ok: false as const, problems: [found.problem] };
    const wrong = checkEnd(bytes, found.at, limits);
    if (wrong) return { ok: false as const, problems: [wrong] };
    return {
      ok: true as const,
      at: found.at,
      count: bytes.readUInt16LE(found.at + 10),
      centralAt: bytes.readUInt32LE(found.at + 16),
    };
  }
}
const SLASH = 0x2f;
/** End record, zip64 end record, zip64 locator. */
const END_MARKS = ['PK\u0005\u0006', 'PK\u0006\u0006', 'PK\u0006\u0007'];

function locateEnd(zip: Buffer): { at: number } | { problem: Problem } {
  if (zip.length < END_BYTES)
    return { problem: refuse('zip_not_a_zip', `${zip.length} bytes are too few for a zip`) };
  const lowest = Math.max(0, zip.length - END_BYTES - MAX_COMMENT_BYTES);
  const exact: number[] = [];
  let seen = false;
  for (let at = zip.length - END_BYTES; at >= lowest; at--) {
    if (zip[at] !== 0x50 || zip.readUInt32LE(at) !== END_SIGNATURE) continue;
    seen = true;
    if (at + END_BYTES + zip.readUInt16LE(at + 20) === zip.length) exact.push(at);
  }
  const [at, second] = exact;
  if (at === undefined)
    return seen
      ? { problem: refuse('zip_trailing_data', 'bytes follow the end of the zip, or it was cut short') }
      : { problem: refuse('zip_not_a_zip', 'no zip: its end record is missing') };
  // A second signature, in the comment or before, lets two readers see two archives in one file.
  const comment = zip.subarray(at + END_BYTES);
  if (second !== undefined || END_MARKS.some((mark) => comment.includes(mark)))
    return {
      problem: refuse(
        'zip_ambiguous',
        'the zip has more than one end record: readers would disagree about it',
      ),
    };
  return { at };
}

function checkEnd(zip: Buffer, at: number, limits: ZipLimits): Problem | undefined {
  const near = zip.subarray(Math.max(0, at - ZIP64_SEARCH_BYTES), at);
  const locator = Buffer.alloc(4);
  locator.writeUInt32LE(ZIP64_LOCATOR_SIGNATURE);
  const disk = zip.readUInt16LE(at + 4);
  const centralDisk = zip.readUInt16LE(at + 6);
  const onDisk = zip.readUInt16LE(at + 8);
  const count = zip.readUInt16LE(at + 10);
  const centralBytes = zip.readUInt32LE(at + 12);
  const centralAt = zip.readUInt32LE(at + 16);
  if (near.includes(locator) || count === 0xffff || centralBytes === 0xffffffff || centralAt === 0xffffffff)
    return refuse('zip_zip64', 'the archive is in zip64 format, which lambdas never need', PLAIN_ZIP);
  if (disk !== 0 || centralDisk !== 0 || onDisk !== count)
    return refuse('zip_multi_disk', 'the archive is one part of several', PLAIN_ZIP);
  if (count > limits.archive_files)
    return refuse(
      'zip_too_many_files',
      `the archive has ${count} entries; allowed are ${limits.archive_files} (archive_files)`,
      "Leave out what the lambda doesn't import: tests, documentation, development dependencies.",
    );
  if (count === 0) return refuse('zip_empty', 'the archive is empty');
  if (centralAt + centralBytes > at)
    return refuse('zip_broken', 'the central directory overlaps the end record');
  if (centralAt + centralBytes < at)
    return refuse('zip_prepended_data', 'bytes stand before the first entry, or between directory and end');
  if (count * CENTRAL_BYTES > centralBytes)
    return refuse(
      'zip_broken',
      `${centralBytes} bytes can't hold the ${count} entries that the zip declares`,
    );
  return undefined;
}

interface Central {
  readonly madeBy: number;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly disk: number;
  readonly attributes: number;
  readonly localAt: number;
  readonly nameBytes: Buffer;
  /** Absent where its bytes are no UTF-8. */
  readonly name: string | undefined;
  readonly extra: Buffer;
  /** Where the next entry begins. */
  readonly next: number;
}

function readCentral(zip: Buffer, at: number, end: number): Central | string {
  if (at + CENTRAL_BYTES > end) return 'the central directory ends too early';
  if (zip.readUInt32LE(at) !== CENTRAL_SIGNATURE) return 'its central header has a wrong signature';
  const nameLength = zip.readUInt16LE(at + 28);
  const extraLength = zip.readUInt16LE(at + 30);
  const commentLength = zip.readUInt16LE(at + 32);
  const nameAt = at + CENTRAL_BYTES;
  const next = nameAt + nameLength + extraLength + commentLength;
  if (next > end) return 'its central header runs over the end of the directory';
  const nameBytes = zip.subarray(nameAt, nameAt + nameLength);
  return {
    madeBy: zip.readUInt16LE(at + 4),
    flags: zip.readUInt16LE(at + 8),
    method: zip.readUInt16LE(at + 10),
    crc: zip.readUInt32LE(at + 16),
    compressedBytes: zip.readUInt32LE(at + 20),
    bytes: zip.readUInt32LE(at + 24),
    disk: zip.readUInt16LE(at + 34),
    attributes: zip.readUInt32LE(at + 38),
    localAt: zip.readUInt32LE(at + 42),
    nameBytes,
    name: decode(nameBytes),
    extra: zip.subarray(nameAt + nameLength, nameAt + nameLength + extraLength),
    next,
  };
}

function decode(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function checkEntry(zip: Buffer, entry: Central): Problem[] {
  const label = entry.name ?? entry.nameBytes.toString('latin1');
  const problems: Problem[] = [];
  const wrong = (rule: string, message: string, mend?: string): void =>
    void problems.push(refuse(rule, `${quote(label)}: ${message}`, mend, label));
  if (entry.name === undefined)
    wrong(
      'zip_name_encoding',
      'its name is not UTF-8',
      'Rename the file, or pack it with a tool that writes UTF-8.',
    );
  if (entry.flags & (FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED))
    wrong('zip_encrypted', 'is encrypted', PLAIN_ZIP);
  else if (entry.method !== 0 && entry.method !== 8)
    wrong('zip_method', `is packed with method ${entry.method}; only store and deflate are read`, PLAIN_ZIP);
  if (entry.flags & FLAG_PATCH) wrong('zip_method', 'holds patch data', PLAIN_ZIP);
  if (entry.disk !== 0) wrong('zip_multi_disk', 'begins on another disk', PLAIN_ZIP);
  problems.push(...checkKind(entry, label), ...checkExtra(entry, label));
  if ([entry.compressedBytes, entry.bytes, entry.localAt].includes(0xffffffff))
    wrong('zip_zip64', 'has zip64 sizes', PLAIN_ZIP);
  else {
    if (entry.method === 0 && entry.compressedBytes !== entry.bytes)
      wrong(
        'zip_lying_size',
        `is stored, but says ${entry.bytes} bytes unpacked and ${entry.compressedBytes} packed`,
      );
    const disagreement = checkLocal(zip, entry);
    if (disagreement) wrong('zip_headers_disagree', disagreement);
  }
  return problems;
}

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const DOS_DIRECTORY = 0x10;

/** Links and devices are told by the Unix mode in the upper half of the attributes, whatever system claims to have made it. */
function checkKind(entry: Central, label: string): Problem[] {
  const type = (entry.attributes >>> 16) & S_IFMT;
  const named = entry.nameBytes.at(-1) === SLASH;
  const mend = 'Put a copy of the file in its place.';
  if (type === S_IFLNK) return [refuse('zip_link', `${quote(label)} is a symbolic link`, mend, label)];
  if (type !== 0 && type !== S_IFREG && type !== S_IFDIR)
    return [refuse('zip_device', `${quote(label)} is a device, pipe or socket`, 'Leave it out.', label)];
  const isUnix = entry.madeBy >>> 8 === 3 || entry.madeBy >>> 8 === 19;
  const isDos = entry.madeBy >>> 8 === 0;
  const says =
    type === S_IFDIR
      ? true
      : type === S_IFREG && isUnix
        ? false
        : isDos && (entry.attributes & DOS_DIRECTORY) !== 0
          ? true
          : named;
  if (says !== named)
    return [
      refuse(
        'zip_file_or_folder',
        `${quote(label)} is a folder by its name or its attributes, but not by both`,
        PACK_AGAIN,
        label,
      ),
    ];
  if (named && entry.bytes !== 0)
    return [
      refuse(
        'zip_file_or_folder',
        `${quote(label)} is a folder, but holds ${entry.bytes} bytes`,
        PACK_AGAIN,
        label,
      ),
    ];
  return [];
}

function checkExtra(entry: Central, label: string): Problem[] {
  const { extra } = entry;
  for (let at = 0; at < extra.length;) {
    if (at + 4 > extra.length)
      return [refuse('zip_broken', `${quote(label)}: its extra field is cut short`, PACK_AGAIN, label)];
    const id = extra.readUInt16LE(at);
    const size = extra.readUInt16LE(at + 2);
    if (at + 4 + size > extra.length)
      return [refuse('zip_broken', `${quote(label)}: its extra field is cut short`, PACK_AGAIN, label)];
    const field = extra.subarray(at + 4, at + 4 + size);
    if (id === EXTRA_ZIP64) return [refuse('zip_zip64', `${quote(label)} has zip64 sizes`, PLAIN_ZIP, label)];
    if (id === EXTRA_AES) return [refuse('zip_encrypted', `${quote(label)} is encrypted`, PLAIN_ZIP, label)];
    // Info-ZIP's second name (version, CRC of the first, name): some readers take it, some don't.
    if (id === EXTRA_UNICODE_PATH && !field.subarray(5).equals(entry.nameBytes))
      return [refuse('zip_headers_disagree', `${quote(label)} has two names`, PACK_AGAIN, label)];
    at += 4 + size;
  }
  return [];
}

/** What the local header, or the descriptor after the data, says else than the central directory. */
function checkLocal(zip: Buffer, entry: Central): string | undefined {
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
function checkTiling(zip: Buffer, entries: readonly Central[], centralAt: number): Problem[] {
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

function checkSizes(entries: readonly Central[], limits: ZipLimits): Problem[] {
  const problems: Problem[] = [];
  let total = 0;
  for (const entry of entries) {
    total += entry.bytes;
    const label = entry.name ?? '';
    const ratio = entry.bytes / Math.max(1, entry.compressedBytes);
    if (entry.bytes > RATIO_FROM_BYTES && ratio > MAX_RATIO)
      problems.push(
        refuse(
          'zip_bomb',
          `${quote(label)} would grow ${Math.round(ratio)} times when unpacked; allowed is ${MAX_RATIO} times`,
          'Leave the file out, or make the data in the lambda.',
          label,
        ),
      );
  }
  if (total > limits.unpacked_bytes)
    problems.push(
      refuse(
        'zip_too_large',
        `the archive declares ${total} bytes unpacked; allowed are ${limits.unpacked_bytes} (unpacked_bytes)`,
        "Leave out what the lambda doesn't import.",
      ),
    );
  return problems;
}
