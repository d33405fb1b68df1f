/** Archives that carry packages in node_modules, as `isolambda pack` makes them of a folder after `npm install`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collectPackage, type FolderFile } from '../src/cli/folder/collect.ts';
import { zipFiles } from '../src/cli/folder/zip.ts';

const MODULES = fileURLToPath(new URL('../node_modules', import.meta.url));

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The packages and all that they depend on, each where npm put it; packages of packages are taken with their folder. */
export function vendoredArchive(
  files: Readonly<Record<string, string>>,
  packages: readonly string[],
): Buffer {
  const names = new Set<string>();
  const waiting = [...packages];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (names.has(name)) continue;
    names.add(name);
    const folder = join(MODULES, name);
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
    waiting.push(
      ...Object.keys(dependencies).filter(
        (dependency) => !existsSync(join(folder, 'node_modules', dependency)),
      ),
    );
  }
  const own: FolderFile[] = Object.entries(files).map(([path, text]) => ({ path, bytes: Buffer.from(text) }));
  const vendored = [...names].flatMap((name) => collectPackage(join(MODULES, name), `node_modules/${name}`));
  return zipFiles([...own, ...vendored]);
}
