/**
 * The folder `static/` of an archive: data in the bundle, for the guest to serve under `/static/`. Nothing in it is code
 * of the lambda, unless a module imports it.
 */
import { createHash } from 'node:crypto';
import type { ArchiveFiles } from './intake.ts';

export const STATIC = 'static/';

const TYPES: Readonly<Record<string, string>> = {
  avif: 'image/avif',
  css: 'text/css; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  gif: 'image/gif',
  htm: 'text/html; charset=utf-8',
  html: 'text/html; charset=utf-8',
  ico: 'image/vnd.microsoft.icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  map: 'application/json',
  mjs: 'text/javascript; charset=utf-8',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  otf: 'font/otf',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  ttf: 'font/ttf',
  wasm: 'application/wasm',
  wav: 'audio/wav',
  webm: 'video/webm',
  webmanifest: 'application/manifest+json',
  webp: 'image/webp',
  woff: 'font/woff',
  woff2: 'font/woff2',
  xml: 'application/xml',
};
/** Shown, never run, by a browser. */
const TEXTS = ['cjs', 'cts', 'jsx', 'log', 'md', 'mts', 'sql', 'ts', 'tsx', 'txt', 'yaml', 'yml'];

export const staticPaths = (files: ArchiveFiles): string[] =>
  [...files.keys()].filter((path) => path.startsWith(STATIC));

/** A statement that gives `namespace` the table which sandbox/sdk/core/static-files.ts reads; empty where there are no such files. */
export function staticSource(files: ArchiveFiles, namespace: string): string {
  const table = staticPaths(files).map((path) => {
    const bytes = files.get(path)!;
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"`;
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    return [path.slice(STATIC.length), typeOf(path), etag, data];
  });
  if (table.length === 0) return '';
  return `Object.defineProperty(${namespace}, Symbol.for("isolambda.static"), { value: ${JSON.stringify(table)} });\n`;
}

function typeOf(path: string): string {
  const extension = /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? '';
  if (TEXTS.includes(extension)) return 'text/plain; charset=utf-8';
  return Object.hasOwn(TYPES, extension) ? TYPES[extension]! : 'application/octet-stream';
}
