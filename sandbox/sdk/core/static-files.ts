/**
 * Files of the archive's folder `static/`, which the builder put into the bundle: GET and HEAD, with entity tags and
 * single ranges (RFC 9110, sections 13 and 14). A path finds a file by its exact name in a table: there is nothing to
 * walk out of.
 */
import { headerIn } from './headers.ts';
import type { WireReply } from './reply.ts';
import { routeCounts, type RouteCounts } from './request-counts.ts';
import type { HttpRequestHead } from './request.ts';

const TABLE = Symbol.for('isolambda.static');
const PREFIX = '/static/';

export interface StaticFiles {
  /** Of all files together: names of files would be labels without bound. */
  readonly counts: RouteCounts;
  /** Whether the path is one of the folder's, found or not. */
  owns(path: string): boolean;
  /** Undefined where there is no such file. Methods other than HEAD are as GET. */
  serve(head: HttpRequestHead): WireReply | undefined;
}

interface StaticFile {
  readonly type: string;
  readonly etag: string;
  readonly base64: string;
  bytes: Uint8Array | undefined;
}

/** Undefined for a lambda without the folder. */
export function staticFiles(exports: Readonly<Record<PropertyKey, unknown>>): StaticFiles | undefined {
  const table = exports[TABLE];
  if (!Array.isArray(table)) return undefined;
  const files = new Map<string, StaticFile>();
  for (const [path, type, etag, base64] of table as (readonly [string, string, string, string])[])
    files.set(path, { type, etag, base64, bytes: undefined });
  return {
    counts: routeCounts(PREFIX),
    owns: (path) => path.startsWith(PREFIX),
    serve(head) {
      const path = decodePath(head.path.slice(PREFIX.length));
      const file = path === undefined ? undefined : files.get(path);
      return file && replyOf(file, head);
    },
  };
}

/** An encoded slash is no slash: one file has one spelling, but for the characters that need no encoding. */
function decodePath(path: string): string | undefined {
  if (/%(?:2f|5c)/i.test(path)) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function replyOf(file: StaticFile, { method, headers: asked }: HttpRequestHead): WireReply {
  const { etag, type } = file;
  // Files change with the lambda's version: kept copies are asked for again, which costs a 304.
  const headers = ['etag', etag, 'cache-control', 'no-cache', 'x-content-type-options', 'nosniff'];
  if (isFresh(headerIn(asked, 'if-none-match'), etag)) return { status: 304, headers, body: '' };
  headers.push('content-type', type, 'accept-ranges', 'bytes');
  const bytes = (file.bytes ??= decodeBase64(file.base64));
  const range = method === 'GET' ? headerIn(asked, 'range') : undefined;
  const condition = headerIn(asked, 'if-range');
  const part =
    range === undefined || (condition !== undefined && condition !== etag)
      ? 'whole'
      : readRange(range, bytes.length);
  if (part === 'whole') return { status: 200, headers, body: bytes };
  if (part === 'outside')
    return { status: 416, headers: [...headers, 'content-range', `bytes */${bytes.length}`], body: '' };
  const [first, last] = part;
  headers.push('content-range', `bytes ${first}-${last}/${bytes.length}`);
  return { status: 206, headers, body: bytes.subarray(first, last + 1) };
}

/** The weak comparison, as the RFC has it for If-None-Match. */
function isFresh(condition: string | undefined, etag: string): boolean {
  if (condition === undefined) return false;
  return condition
    .split(',')
    .map((tag) => tag.trim())
    .some((tag) => tag === '*' || tag === etag || tag === `W/${etag}`);
}

/** Several ranges, and what is no range, are answered with the whole file, as a server may. */
function readRange(range: string, length: number): readonly [number, number] | 'whole' | 'outside' {
  const found = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(range);
  const [, from = '', to = ''] = found ?? [];
  if (from === '' && to === '') return 'whole';
  if (from === '') {
    const wanted = Math.min(Number(to), length);
    return wanted === 0 ? 'outside' : [length - wanted, length - 1];
  }
  const first = Number(from);
  const last = to === '' ? length - 1 : Math.min(Number(to), length - 1);
  if (to !== '' && Number(to) < first) return 'whole';
  return first >= length ? 'outside' : [first, last];
}

/** What the builder encoded: without white space, padded. */
function decodeBase64(text: string): Uint8Array {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let from = 0, to = 0; from < text.length; from += 4, to += 3) {
    const four =
      (sixBits(text.charCodeAt(from)) << 18) |
      (sixBits(text.charCodeAt(from + 1)) << 12) |
      (sixBits(text.charCodeAt(from + 2)) << 6) |
      sixBits(text.charCodeAt(from + 3));
    // Writes beyond the end, where the padding stands, are dropped by the array.
    bytes[to] = four >> 16;
    bytes[to + 1] = four >> 8;
    bytes[to + 2] = four;
  }
  return bytes;
}

function sixBits(code: number): number {
  if (code >= 97) return code - 71;
  if (code >= 65) return code - 65;
  if (code >= 48 && code <= 57) return code + 4;
  return code === 43 ? 62 : code === 47 ? 63 : 0;
}
