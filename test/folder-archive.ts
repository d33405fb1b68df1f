import AdmZip from 'adm-zip';
import { fileURLToPath } from 'node:url';

/** A folder below fixtures/ as a zip. */
export function fixtureArchive(path: string): Buffer {
  const zip = new AdmZip();
  zip.addLocalFolder(fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url)));
  return zip.toBuffer();
}
