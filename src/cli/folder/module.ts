import { existsSync, statSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { CommandError } from '../command-error.ts';
import { collectFolder } from './collect.ts';
import { archiveOf } from './pack.ts';
import { zipFiles } from './zip.ts';

/** `<module>[:<handler>]` of the command line. */
export interface ModuleName {
  readonly path: string;
  readonly handler: string | undefined;
}

export function parseModuleName(text: string): ModuleName {
  const [, path = text, handler] = /^(.+?)(?::([A-Za-z_$][\w$]*))?$/.exec(text) ?? [];
  return { path, handler };
}

const SUFFIXES = ['', '.ts', '.mts', '.js', '.mjs'];
const MAIN = /^lambda_main\.(ts|js|mjs)$/;

/**
 * A module as an archive: a zip and a folder with lambda_main as they are; a single file with the folder that it
 * stands in, so that what it imports is there. A dotted name (`path.module`) is understood as a path.
 * Throws CommandError `notFound` where there is none: it never falls back to another lambda.
 */
export function moduleArchive(name: string): Uint8Array {
  const found = [name, name.replaceAll('.', '/')]
    .flatMap((base) => SUFFIXES.map((suffix) => base + suffix))
    .find((path) => existsSync(path));
  if (found === undefined) {
    throw new CommandError('notFound', `there is no module ${name}`, {
      mend: `Name a file (${name}.ts or .js), a folder that holds lambda_main.ts, or a zip made by isolambda pack.`,
    });
  }
  const path = resolve(found);
  if (statSync(path).isDirectory() || extname(path) === '.zip' || MAIN.test(basename(path))) {
    return archiveOf(MAIN.test(basename(path)) ? dirname(path) : path).bytes;
  }
  const files = collectFolder(dirname(path)).filter((file) => !MAIN.test(file.path));
  const entry = Buffer.from(`export * from './${basename(path)}';\n`);
  return zipFiles([...files, { path: 'lambda_main.ts', bytes: entry }]);
}

/** What runs where no module is named: the request comes back as it is. */
export function echoArchive(): Uint8Array {
  const source =
    '/** Gives the event back. */\nexport function lambda_handler(event: unknown): unknown {\n  return event;\n}\n';
  return zipFiles([{ path: 'lambda_main.ts', bytes: Buffer.from(source) }]);
}
