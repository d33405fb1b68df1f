import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const cache = new Map<string, Promise<readonly string[]>>();

/**
 * Shared libraries that a program or addon loads, the dynamic loader among them: absolute paths, as the loader looks for them.
 * Asks `ldd` once for each file. Only for the host's own files: some versions of `ldd` start the program.
 */
export async function sharedLibraries(files: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(files.map(librariesOf));
  return [...new Set(lists.flat())].sort();
}

function librariesOf(file: string): Promise<readonly string[]> {
  let libraries = cache.get(file);
  if (!libraries) {
    libraries = ask(file);
    cache.set(file, libraries);
    // A failure (no `ldd` yet) must not stick.
    libraries.catch(() => cache.delete(file));
  }
  return libraries;
}

async function ask(file: string): Promise<readonly string[]> {
  const { stdout } = await execute('ldd', [file], { env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' } });
  return parseLdd(stdout, file);
}

/** Exported for its test: the text of `ldd` is no interface, so what is not understood is an error, not an omission. */
export function parseLdd(text: string, file: string): string[] {
  const libraries: string[] = [];
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('linux-vdso') || /statically linked|not a dynamic/.test(line))
      continue;
    const path = /(?:^|=> )(\/\S+) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    if (path === undefined) throw new Error(`ldd says of ${file}: ${line}`);
    libraries.push(path);
  }
  return libraries;
}
