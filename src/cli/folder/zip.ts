import AdmZip from 'adm-zip';
import type { FolderFile } from './collect.ts';

/** The first moment that a zip can name: the same files make the same bytes, whenever they are packed. */
const EPOCH = new Date(1980, 0, 1);
const PLAIN_FILE = 0o100644;

/** A zip of the files, in their order, without times, owners or modes of the machine that made it. */
export function zipFiles(files: readonly FolderFile[]): Buffer {
  const zip = new AdmZip(undefined, { noSort: true });
  for (const { path, bytes } of files) {
    const entry = zip.addFile(path, bytes);
    entry.header.time = EPOCH;
    entry.header.attr = (PLAIN_FILE << 16) >>> 0;
  }
  return zip.toBuffer();
}
