import { lstatSync, readdirSync, readFileSync, realpathSync, statSync, type Stats } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { CommandError, type ProblemLine } from '../command-error.ts';
import { developmentOnly } from './development.ts';
import { parseIgnore, type IgnoreRules } from './ignore.ts';

/** One file that goes into an archive. */
export interface FolderFile {
  /** Path in the archive, with `/`. */
  readonly path: string;
  readonly bytes: Buffer;
}

export const IGNORE_FILE = '.isolambdaignore';

/** The host provides these; a copy in `node_modules` is for the editor and for tests only. */
const PROVIDED = new Set(['lambda-tools', 'luna-lambda-tools', 'luna_lambda_tools']);
/** What bundling never reads, and what would use up `archive_files`: declarations and maps of packages. */
const UNUSED_IN_PACKAGES = /\.d\.[mc]?ts$|\.map$/;

interface Walk {
  readonly root: string;
  readonly rules: IgnoreRules;
  readonly skipPackages: ReadonlySet<string>;
  readonly except: string | undefined;
  readonly files: FolderFile[];
  readonly problems: ProblemLine[];
}

/**
 * All files of a lambda's folder that belong into its archive, sorted by path. Left out: names that begin with a
 * dot, what `.isolambdaignore` names, and of `node_modules`: development-only packages, `lambda-tools`,
 * declarations and source maps. Throws CommandError `refused` when a link leaves the folder, `notFound` when
 * there is no such folder.
 * @param except absolute path of a file to leave out: the archive that is being written.
 */
export function collectFolder(folder: string, except?: string): FolderFile[] {
  const root = realFolder(folder);
  const walk: Walk = {
    root,
    rules: parseIgnore(readOptional(join(root, IGNORE_FILE))),
    skipPackages: developmentOnly(root),
    except,
    files: [],
    problems: [],
  };
  visit(walk, root, '', [root]);
  if (walk.problems.length > 0)
    throw new CommandError('refused', `${folder} cannot be packed`, { problems: walk.problems });
  return walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The files of an installed package, as they stand in an archive below `at` (`node_modules/marked`). */
export function collectPackage(folder: string, at: string): FolderFile[] {
  return collectFolder(folder)
    .map(({ path, bytes }) => ({ path: `${at}/${path}`, bytes }))
    .filter(({ path }) => !UNUSED_IN_PACKAGES.test(path));
}

function realFolder(folder: string): string {
  let stats: Stats | undefined;
  try {
    stats = statSync(folder);
  } catch {
    throw new CommandError('notFound', `there is no folder ${folder}`, {
      mend: 'Name the folder that holds lambda_main.ts, or make one: isolambda init my-lambda',
    });
  }
  if (!stats.isDirectory()) throw new CommandError('usage', `${folder} is not a folder`);
  return realpathSync(folder);
}

function visit(walk: Walk, folder: string, prefix: string, above: readonly string[]): void {
  for (const name of readdirSync(folder)) {
    const path = prefix + name;
    const at = join(folder, name);
    if (name.startsWith('.') || at === walk.except) continue;
    if (isLeftOutOfModules(walk, path)) continue;
    const target = lstatSync(at).isSymbolicLink() ? follow(walk, at, path) : at;
    if (target === undefined) continue;
    const stats = statSync(target);
    if (walk.rules.ignores(path, stats.isDirectory())) continue;
    if (stats.isDirectory()) {
      const real = realpathSync(target);
      if (above.includes(real)) refuse(walk, path, 'link_cycle', 'is a link to a folder that it stands in');
      else visit(walk, target, `${path}/`, [...above, real]);
    } else if (stats.isFile()) walk.files.push({ path, bytes: readFileSync(target) });
    else refuse(walk, path, 'not_a_file', 'is neither a file nor a folder');
  }
}

/** The target of a link, when it stays in the folder: an archive must not carry what its author never put there. */
function follow(walk: Walk, at: string, path: string): string | undefined {
  let target: string;
  try {
    target = realpathSync(at);
  } catch {
    if (!walk.rules.ignores(path, false)) refuse(walk, path, 'link_broken', 'is a link to nothing');
    return undefined;
  }
  if (target === walk.root || target.startsWith(walk.root + sep)) return target;
  if (!walk.rules.ignores(path, statSync(target).isDirectory()))
    refuse(walk, path, 'link_outside', `is a link out of the folder, to ${relative(walk.root, target)}`);
  return undefined;
}

function refuse(walk: Walk, file: string, rule: string, message: string): void {
  const mend = `Replace it by a copy, or name it in ${IGNORE_FILE}.`;
  walk.problems.push({ severity: 'error', rule, file, message, mend });
}

function isLeftOutOfModules(walk: Walk, path: string): boolean {
  if (!path.startsWith('node_modules/')) return false;
  const inside = path.slice('node_modules/'.length);
  return PROVIDED.has(inside) || walk.skipPackages.has(inside) || UNUSED_IN_PACKAGES.test(inside);
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
