/** Which files of an archive are code, and in what language. Paths as in the archive, without a leading slash. */
import type { Loader } from 'esbuild';
import { error, quote } from './problem.ts';
import type { Problem } from '../errors/problem.ts';

/** A module of the tenant's own; vendored files may be as large as the archive's limits allow. */
export const MAX_SOURCE_BYTES = 5 * 1024 * 1024;

export type Language = 'ts' | 'tsx' | 'js' | 'jsx';

const LANGUAGES: Readonly<Record<string, Language>> = {
  ts: 'ts',
  mts: 'ts',
  cts: 'ts',
  tsx: 'tsx',
  js: 'js',
  mjs: 'js',
  cjs: 'js',
  jsx: 'jsx',
};
const LOADERS: Readonly<Record<string, Loader>> = {
  json: 'json',
  txt: 'text',
  md: 'text',
  html: 'text',
  csv: 'text',
  sql: 'text',
};

const extensionOf = (path: string): string => /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? '';

export const languageOf = (path: string): Language | undefined => LANGUAGES[extensionOf(path)];

/** How esbuild reads a file; undefined for what a lambda can't import. `import x from "./a.bin" with { type: "bytes" }` chooses. */
export function loaderOf(path: string, type?: string): Loader | undefined {
  if (type === 'json' || type === 'text') return type;
  if (type === 'bytes') return 'binary';
  return languageOf(path) ?? LOADERS[extensionOf(path)];
}

export const isVendored = (path: string): boolean =>
  path.startsWith('node_modules/') || path.includes('/node_modules/');

/** The text of a file, without its byte order mark; a Problem where it is no UTF-8 or too large to be a module. */
export function decodeSource(path: string, bytes: Uint8Array): string | Problem {
  if (bytes.length > MAX_SOURCE_BYTES && !isVendored(path))
    return error(
      'source_too_large',
      `${quote(path)} has ${bytes.length} bytes; a module may have ${MAX_SOURCE_BYTES}`,
      'Split it, or import data as JSON or text.',
      { file: path },
    );
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return error('source_encoding', `${quote(path)} is not UTF-8`, 'Save it as UTF-8.', { file: path });
  }
}

/** Real code nests some dozens of brackets; parsers recurse, and overflow their stack at about a thousand. */
export const MAX_BRACKET_DEPTH = 500;

/**
 * Depth of brackets, counted without regard to strings and comments: a cheap bound that is looked at before any parser
 * recurses. (A text full of opening brackets counts too: it would have to hold more than 500 of them unclosed.)
 */
export function isTooDeep(source: string): boolean {
  let depth = 0;
  for (let at = 0; at < source.length; at++) {
    const code = source.charCodeAt(at);
    if (code === 40 || code === 91 || code === 123) {
      if (++depth > MAX_BRACKET_DEPTH) return true;
    } else if ((code === 41 || code === 93 || code === 125) && depth > 0) depth--;
  }
  return false;
}

export const tooDeep = (file: string, place: { line?: number; column?: number } = {}): Problem =>
  error(
    'source_too_deep',
    `${quote(file)} is nested too deep to be parsed`,
    'Nest less: build such data at run time.',
    {
      file,
      ...place,
    },
  );
