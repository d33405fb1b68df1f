/** MIME types as headers carry them: https://mimesniff.spec.whatwg.org/#parsing-a-mime-type. */

export interface MimeType {
  /** `type/subtype`, lower-case. */
  readonly essence: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const QUOTABLE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function parseMimeType(input: string): MimeType | null {
  const parts = splitOutsideQuotes(input, ';');
  const [type = '', subtype = '', ...rest] = (parts[0] ?? '').trim().split('/');
  if (rest.length > 0 || !TOKEN.test(type) || !TOKEN.test(subtype)) return null;
  const parameters = new Map<string, string>();
  for (const part of parts.slice(1)) {
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    const name = part.slice(0, equals).trimStart().toLowerCase();
    let value = part.slice(equals + 1);
    if (value.startsWith('"')) value = unquote(value);
    else {
      value = value.trimEnd();
      if (value === '') continue;
    }
    if (TOKEN.test(name) && QUOTABLE.test(value) && !parameters.has(name)) parameters.set(name, value);
  }
  return { essence: `${type}/${subtype}`.toLowerCase(), parameters };
}

export function serializeMimeType(mime: MimeType): string {
  let text = mime.essence;
  for (const [name, value] of mime.parameters) {
    text += `;${name}=${TOKEN.test(value) ? value : `"${value.replaceAll(/["\\]/g, '\\$&')}"`}`;
  }
  return text;
}

/** https://fetch.spec.whatwg.org/#concept-header-extract-mime-type for a combined Content-Type header. */
export function extractMimeType(header: string | null): MimeType | null {
  if (header === null) return null;
  let charset: string | undefined;
  let found: MimeType | undefined;
  for (const part of splitOutsideQuotes(header, ',')) {
    const mime = parseMimeType(part.trim());
    if (mime === null || mime.essence === '*/*') continue;
    if (mime.essence !== found?.essence) {
      charset = mime.parameters.get('charset');
      found = mime;
    } else if (!mime.parameters.has('charset') && charset !== undefined) {
      found = { essence: mime.essence, parameters: new Map([...mime.parameters, ['charset', charset]]) };
    } else {
      found = mime;
    }
  }
  return found ?? null;
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted && char === '\\') i++;
    else if (char === '"') quoted = !quoted;
    else if (char === separator && !quoted) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function unquote(text: string): string {
  let value = '';
  for (let i = 1; i < text.length && text[i] !== '"'; i++) {
    if (text[i] === '\\' && i + 1 < text.length) i++;
    value += text[i] ?? '';
  }
  return value;
}
