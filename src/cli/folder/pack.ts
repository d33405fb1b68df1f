import { statSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommandError } from '../command-error.ts';
import { collectFolder } from './collect.ts';
import { zipFiles } from './zip.ts';

/** An archive in memory, and what went into it (no list of files where a zip was given as it is). */
export interface PackedArchive {
  readonly bytes: Buffer;
  readonly files: readonly { readonly path: string; readonly bytes: number }[] | undefined;
  /** Bytes before compression. */
  readonly unpackedBytes: number | undefined;
}

const MAINS = ['lambda_main.ts', 'lambda_main.js', 'lambda_main.mjs'];

/**
 * Packs a folder, in memory. Throws CommandError `refused` when it has no lambda_main at its root.
 * @param except absolute path of the archive to be written, which may stand in the folder itself.
 */
export function packFolder(folder: string, except?: string): PackedArchive {
  const files = collectFolder(folder, except);
  if (!files.some(({ path }) => MAINS.includes(path)))
    throw new CommandError('refused', `${folder} holds no lambda_main.ts or lambda_main.js at its root`, {
      mend: 'Name the folder that holds it, or make one: isolambda init my-lambda',
    });
  return {
    bytes: zipFiles(files),
    files: files.map(({ path, bytes }) => ({ path, bytes: bytes.length })),
    unpackedBytes: files.reduce((sum, { bytes }) => sum + bytes.length, 0),
  };
}

/** The archive that a command was given: a folder is packed, a zip is read as it is. */
export function archiveOf(path: string): PackedArchive {
  let isFile = false;
  try {
    isFile = statSync(path).isFile();
  } catch {
    throw new CommandError('notFound', `there is no folder or zip ${path}`, {
      mend: 'Name a folder that holds lambda_main.ts, or a zip made by isolambda pack.',
    });
  }
  if (!isFile) return packFolder(path);
  return { bytes: readFileSync(resolve(path)), files: undefined, unpackedBytes: undefined };
}
