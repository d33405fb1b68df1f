import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CommandError } from '../command-error.ts';
import type { LambdaType } from '../views.ts';
import { commonFiles } from './common-files.ts';
import { installSdk } from './sdk.ts';
import { lambdaFiles } from './templates.ts';

/**
 * Makes the folder of a new lambda, ready for an editor with no package registry at hand. Returns the paths made.
 * Throws CommandError `usage` where the folder holds anything already: nothing is ever overwritten.
 */
export function initFolder(folder: string, type: LambdaType, refreshTypes: boolean): string[] {
  const root = resolve(folder);
  if (refreshTypes) {
    if (!isFolder(root)) throw new CommandError('notFound', `there is no folder ${folder}`);
    installSdk(root);
    return [];
  }
  if (isFolder(root) && readdirSync(root).length > 0)
    throw new CommandError('usage', `${folder} is not empty`, {
      mend: 'Name a new folder. To bring the types of an existing one up to date: isolambda init FOLDER --refresh-types',
    });
  const files = { ...lambdaFiles(type), ...commonFiles(packageName(root), type) };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { flag: 'wx' });
  }
  installSdk(root);
  return Object.keys(files).sort();
}

function isFolder(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isDirectory())
    throw new CommandError('usage', `${path} exists, and is no folder`);
  return stats !== undefined;
}

/** The folder's name, as far as npm allows it in package.json. */
const packageName = (root: string): string =>
  basename(root)
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+/, '') || 'my-lambda';
