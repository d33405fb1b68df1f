/**
 * From an uploaded zip to files in memory. The structure and the names are checked by zip-directory.ts and
 * zip-names.ts first; only then does adm-zip, whose one place in the product is here, unpack the entries, each held to
 * the size that was checked. Nothing touches a disk.
 */
import AdmZip from 'adm-zip';
import { error, quote } from './problem.ts';
import type { Problem } from '../errors/problem.ts';
import { readZipDirectory, type ZipEntry } from './zip-directory.ts';
import type { ZipLimits } from './zip-format.ts';
import { checkCollisions, checkName, isLitter } from './zip-names.ts';

/** Files of an archive by their path: `lambda_main.ts`, `path/fileinpath1.ts`. */
export type ArchiveFiles = ReadonlyMap<string, Uint8Array>;

export interface IntakeLimits extends ZipLimits {
  readonly archive_bytes: number;
}

export type Intake =
  | { readonly ok: true; readonly files: ArchiveFiles; readonly problems: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Never throws: whatever is wrong with the bytes is in `problems`. Holds at most `unpacked_bytes` more than the archive. */
export function readArchive(archive: Uint8Array, limits: IntakeLimits): Intake {
  if (archive.length > limits.archive_bytes)
    return refused(
      'archive_too_large',
      `the archive has ${archive.length} bytes; allowed are ${limits.archive_bytes} (archive_bytes)`,
      "Leave out what the lambda doesn't import.",
    );
  const zip = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const directory = readZipDirectory(zip, limits);
  if (!directory.ok) return directory;
  const names = directory.entries.map((entry) => entry.name);
  const problems = [...names.flatMap(checkName), ...checkCollisions(names)];
  if (problems.length > 0) return { ok: false, problems };
  return unpack(zip, directory.entries, limits.unpacked_bytes);
}

const refused = (rule: string, message: string, mend: string, file?: string): Intake & { ok: false } => ({
  ok: false,
  problems: [error(rule, message, mend, { file })],
});

function unpack(zip: Buffer, entries: readonly ZipEntry[], mostBytes: number): Intake {
  const broken = (what: string, file?: string): Intake & { ok: false } =>
    refused('zip_broken', what, 'Make the archive again: it was damaged, or cut short.', file);
  let unpacked: AdmZip.IZipEntry[];
  try {
    unpacked = new AdmZip(zip, { noSort: true, readEntries: true }).getEntries();
  } catch (thrown) {
    return broken(`the archive can't be read: ${String(thrown)}`);
  }
  if (unpacked.length !== entries.length) return broken('the archive reads as two different lists of files');
  const files = new Map<string, Uint8Array>();
  let left = mostBytes;
  for (const [index, entry] of entries.entries()) {
    const reader = unpacked[index];
    if (!reader || !reader.rawEntryName.equals(entry.nameBytes))
      return broken('the archive reads as two different lists of files', entry.name);
    if (entry.isDirectory || isLitter(entry.name)) continue;
    const file = inflate(reader, entry);
    if (!(file instanceof Uint8Array)) return { ok: false, problems: [file] };
    left -= file.length;
    if (left < 0) return broken(`${quote(entry.name)} unpacks to more than the archive declared`, entry.name);
    files.set(entry.name, file);
  }
  const top = checkTopFolder(files);
  return top ? { ok: false, problems: [top] } : { ok: true, files, problems: [] };
}

/** adm-zip bounds zlib's output by the declared size, which was checked before: a lie ends there. */
function inflate(reader: AdmZip.IZipEntry, entry: ZipEntry): Uint8Array | Problem {
  const place = { file: entry.name };
  const again = 'Make the archive again: it was damaged, or cut short.';
  let file: Buffer;
  try {
    file = reader.getData();
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_BUFFER_TOO_LARGE')
      return error(
        'zip_lying_size',
        `${quote(entry.name)} unpacks to more than the ${entry.bytes} bytes it declares`,
        again,
        place,
      );
    return error('zip_broken', `${quote(entry.name)} can't be unpacked: ${String(thrown)}`, again, place);
  }
  if (file.length !== entry.bytes)
    return error(
      'zip_lying_size',
      `${quote(entry.name)} declares ${entry.bytes} bytes, and unpacks to ${file.length}`,
      again,
      place,
    );
  return file;
}

const MAIN = /^lambda_main\.(ts|js|mjs)$/;

/** The commonest mistake: the folder was packed, and not what is in it. */
function checkTopFolder(files: ArchiveFiles): Problem | undefined {
  const paths = [...files.keys()];
  const top = paths[0]?.split('/')[0];
  if (top === undefined || !paths.every((path) => path.startsWith(`${top}/`))) return undefined;
  const main = paths.find((path) => MAIN.test(path.slice(top.length + 1)));
  if (main === undefined) return undefined;
  return error(
    'zip_top_folder',
    `everything is inside the folder ${quote(top)}: ${quote(main)} must be at the root of the archive`,
    `Zip the contents, not the folder: cd ${top} && zip -r ../lambda.zip . (isolambda pack does so).`,
    { file: main },
  );
}
