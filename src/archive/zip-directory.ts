/**
 * The structure of a zip, read by ourselves before any library sees it. Zip readers disagree about archives that
 * say two things at once (two end records, a local header that differs from the central one, entries that share
 * bytes): all of these are refused, so that what was checked is what will be unpacked.
 *
 * Layout: PKWARE APPNOTE 6.3.10, sections 4.3.6 to 4.3.16, 4.4 and 4.5.
 */
import { quote } from './problem.ts';
import type { Problem } from '../errors/problem.ts';
import { findEnd } from './zip-end.ts';
import { CENTRAL_BYTES, PACK_AGAIN, PLAIN_ZIP, refuse, type Central, type ZipLimits } from './zip-format.ts';
import { checkLocal, checkTiling } from './zip-local.ts';

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

export type ZipDirectory =
  | { readonly ok: true; readonly entries: readonly ZipEntry[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const CENTRAL_SIGNATURE = 0x02014b50;
const FLAG_ENCRYPTED = 1 << 0;
const FLAG_PATCH = 1 << 5;
const FLAG_STRONG_ENCRYPTION = 1 << 6;
const FLAG_MASKED = 1 << 13;
const EXTRA_ZIP64 = 0x0001;
const EXTRA_UNICODE_PATH = 0x7075;
const EXTRA_AES = 0x9901;
const SLASH = 0x2f;

/** Entries below this size are small enough whatever their ratio. */
export const RATIO_FROM_BYTES = 1024 * 1024;
/** Text of real projects packs 3 to 30 times; deflate itself ends at 1,032. */
export const MAX_RATIO = 200;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads and checks the whole structure. Each thing wrong is told; nothing is unpacked. */
export function readZipDirectory(zip: Buffer, limits: ZipLimits): ZipDirectory {
  const end = findEnd(zip, limits);
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
