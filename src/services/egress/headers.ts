import type { HeaderList } from '../../protocol/outcome.ts';

/** Headers that belong to the connection, which is the host's, or that would let a lambda speak as something else. */
const CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'content-length',
  'expect',
  'date',
]);
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The headers of a guest's list that may go out; malformed ones (CR, LF, NUL, no token) and `without` are left out. */
export function forwardableHeaders(headers: HeaderList, without: ReadonlySet<string> = new Set()): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index]!.toLowerCase();
    const value = headers[index + 1]!;
    if (CONNECTION.has(name) || without.has(name) || !NAME.test(name) || !VALUE.test(value)) continue;
    kept.push(name, value);
  }
  return kept;
}

/** The headers of a reply that undici read with `responseHeaders: 'raw'`: names and values as bytes, by turns. */
export function receivedHeaders(raw: unknown): string[] {
  const list = raw as readonly Buffer[];
  return Array.from(list, (item, index) =>
    index % 2 === 0 ? item.toString('latin1').toLowerCase() : item.toString('latin1'),
  );
}
