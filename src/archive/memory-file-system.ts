import type { FileSystem } from 'enhanced-resolve';
import type { ArchiveFiles } from './intake.ts';
import { quote } from './problem.ts';

type Callback<T> = (error: NodeJS.ErrnoException | null, result?: T) => void;

/** A read-only file system of files and the folders above them; all else does not exist. */
export function memoryFileSystem(files: ArchiveFiles): FileSystem {
  const folders = new Map<string, Set<string>>([['/', new Set()]]);
  for (const path of files.keys()) {
    const parts = path.split('/');
    for (let depth = 0; depth < parts.length; depth++) {
      const folder = `/${parts.slice(0, depth).join('/')}`;
      const names = folders.get(folder) ?? new Set<string>();
      names.add(parts[depth] ?? '');
      folders.set(folder, names);
    }
  }
  const absent = (path: unknown): NodeJS.ErrnoException =>
    Object.assign(new Error(`ENOENT: ${quote(String(path))}`), { code: 'ENOENT' });
  const normal = (path: unknown): string => {
    const text = String(path);
    return text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text;
  };
  const stat = (path: unknown) => {
    const at = normal(path);
    const isFile = files.has(at.slice(1)) && at.startsWith('/');
    if (!isFile && !folders.has(at)) throw absent(path);
    return { isFile: () => isFile, isDirectory: () => !isFile, isSymbolicLink: () => false };
  };
  const read = (path: unknown): Buffer => {
    const file = files.get(normal(path).slice(1));
    if (!file) throw absent(path);
    return Buffer.from(file);
  };
  const list = (path: unknown): string[] => {
    const names = folders.get(normal(path));
    if (!names) throw absent(path);
    return [...names];
  };
  const link = (path: unknown): string => {
    throw Object.assign(new Error(`EINVAL: ${quote(String(path))}`), { code: 'EINVAL' });
  };
  const later =
    <T>(run: (path: unknown) => T) =>
    (path: unknown, ...rest: unknown[]): void => {
      const done = rest.at(-1) as Callback<T>;
      let result: T;
      try {
        result = run(path);
      } catch (thrown) {
        done(thrown as NodeJS.ErrnoException);
        return;
      }
      done(null, result);
    };
  return {
    stat: later(stat),
    lstat: later(stat),
    readFile: later(read),
    readdir: later(list),
    readlink: later(link),
    statSync: stat,
    lstatSync: stat,
    readFileSync: read,
    readdirSync: list,
    readlinkSync: link,
  } as FileSystem;
}
