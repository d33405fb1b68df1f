/** The end record of a zip: the one place from which everything else is found. */
import { CENTRAL_BYTES, PLAIN_ZIP, refuse, type ZipLimits } from './zip-format.ts';
import type { Problem } from '../errors/problem.ts';

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
const ZIP64_LOCATOR_BYTES = 20;
const MAX_COMMENT_BYTES = 0xffff;
/** adm-zip looks for zip64 records this far before the end record. */
const ZIP64_SEARCH_BYTES = 56 + ZIP64_LOCATOR_BYTES;
/** End record, zip64 end record, zip64 locator. */
const END_MARKS = ['PK\u0005\u0006', 'PK\u0006\u0006', 'PK\u0006\u0007'];

export type ZipEnd =
  | { readonly ok: true; readonly at: number; readonly count: number; readonly centralAt: number }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Finds the end record and checks what it says of the rest. */
export function findEnd(zip: Buffer, limits: ZipLimits): ZipEnd {
  const found = locateEnd(zip);
  if ('problem' in found) return { ok: false, problems: [found.problem] };
  const wrong = checkEnd(zip, found.at, limits);
  if (wrong) return { ok: false, problems: [wrong] };
  return {
    ok: true,
    at: found.at,
    count: zip.readUInt16LE(found.at + 10),
    centralAt: zip.readUInt32LE(found.at + 16),
  };
}

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
