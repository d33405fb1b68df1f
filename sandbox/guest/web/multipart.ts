/** multipart/form-data, written after https://html.spec.whatwg.org/#multipart-form-data and read after RFC 7578. */
import { blobOf, blobParts, blobType, fileFrom } from './blob.ts';
import { latin1FromBytes } from './base64.ts';
import { decodeUtf8, decodeUtf8KeepBom, encodeUtf8 } from './encoding.ts';
import type { FormEntry } from './form-data.ts';
import { hostOf } from './runtime.ts';

/** Parts of one form; more is refused, so that a small body cannot make a huge number of objects. */
const MAX_PARTS = 10_000;

const CRLF = '\r\n';
const LINE_END = new Uint8Array([13, 10]);
const normalizeBreaks = (text: string): string => text.replaceAll(/\r\n|\r|\n/g, CRLF);
const escapeName = (text: string): string =>
  text.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22');

export function encodeMultipart(entries: readonly FormEntry[]): { parts: Uint8Array[]; contentType: string } {
  let random = '';
  for (const byte of hostOf().randomBytes(8)) random += (byte + 256).toString(16).slice(1);
  const boundary = `----formdata-isolambda-${random}`;
  const parts: Uint8Array[] = [];
  for (const [name, value] of entries) {
    const head = `--${boundary}${CRLF}Content-Disposition: form-data; name="${escapeName(normalizeBreaks(name))}"`;
    if (typeof value === 'string') {
      parts.push(encodeUtf8(`${head}${CRLF}${CRLF}${normalizeBreaks(value)}${CRLF}`));
      continue;
    }
    const type = blobType(value) === '' ? 'application/octet-stream' : blobType(value);
    parts.push(
      encodeUtf8(`${head}; filename="${escapeName(value.name)}"${CRLF}Content-Type: ${type}${CRLF}${CRLF}`),
    );
    parts.push(...blobParts(value), encodeUtf8(CRLF));
  }
  parts.push(encodeUtf8(`--${boundary}--${CRLF}`));
  return { parts, contentType: `multipart/form-data; boundary=${boundary}` };
}

/** The entries of a body; null for anything malformed, which `formData()` turns into a TypeError. */
export function decodeMultipart(body: Uint8Array, boundary: string): FormEntry[] | null {
  const delimiter = encodeUtf8(`--${boundary}`);
  const entries: FormEntry[] = [];
  let at = startsWith(body, delimiter, 0) ? 0 : -1;
  if (at < 0) return null;
  for (;;) {
    at += delimiter.length;
    if (body[at] === 45 && body[at + 1] === 45) return entries;
    if (body[at] !== 13 || body[at + 1] !== 10) return null;
    const head = parseHead(body, at + 2);
    if (head === null || entries.length >= MAX_PARTS) return null;
    const next = indexOf(body, delimiter, head.end);
    // The line break before a delimiter belongs to the delimiter.
    if (next < head.end + 2 || body[next - 2] !== 13 || body[next - 1] !== 10) return null;
    const content = body.slice(head.end, next - 2);
    entries.push(entryOf(head, content));
    at = next;
  }
}

interface PartHead {
  name: string;
  filename: string | undefined;
  type: string | undefined;
  /** Where the content starts. */
  end: number;
}

function entryOf(head: PartHead, content: Uint8Array): FormEntry {
  if (head.filename === undefined) return [head.name, decodeUtf8(content)];
  const blob = blobOf(content, head.type ?? 'text/plain');
  return [head.name, fileFrom(blob, head.filename, Date.now())];
}

function parseHead(body: Uint8Array, start: number): PartHead | null {
  let name: string | undefined;
  let filename: string | undefined;
  let type: string | undefined;
  let at = start;
  for (;;) {
    const end = indexOf(body, LINE_END, at);
    if (end < 0) return null;
    if (end === at) break;
    const line = body.subarray(at, end);
    at = end + 2;
    const colon = line.indexOf(58);
    if (colon <= 0) return null;
    const field = latin1FromBytes(line.subarray(0, colon)).trim().toLowerCase();
    const value = decodeUtf8KeepBom(line.subarray(colon + 1)).trim();
    if (field === 'content-disposition') {
      if (!/^form-data\s*(;|$)/i.test(value)) return null;
      name = quotedParameter(value, 'name');
      filename = quotedParameter(value, 'filename');
    } else if (field === 'content-type') {
      type = value;
    }
  }
  return name === undefined ? null : { name, filename, type, end: at + 2 };
}

function quotedParameter(value: string, name: string): string | undefined {
  // Only what the writing side above and browsers send: a quoted string with three escapes.
  const found = new RegExp(`;\\s*${name}="([^"]*)"`, 'i').exec(value)?.[1];
  return found?.replaceAll(/%0A/gi, '\n').replaceAll(/%0D/gi, '\r').replaceAll('%22', '"');
}

function startsWith(body: Uint8Array, wanted: Uint8Array, at: number): boolean {
  if (at + wanted.length > body.length) return false;
  for (let i = 0; i < wanted.length; i++) if (body[at + i] !== wanted[i]) return false;
  return true;
}

function indexOf(body: Uint8Array, wanted: Uint8Array, from: number): number {
  const first = wanted[0] ?? 0;
  for (let at = body.indexOf(first, from); at >= 0; at = body.indexOf(first, at + 1)) {
    if (startsWith(body, wanted, at)) return at;
  }
  return -1;
}
