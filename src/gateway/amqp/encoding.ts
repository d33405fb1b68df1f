import { gunzip, inflate, inflateRaw, type ZlibOptions } from 'node:zlib';
import { failure, type Failure } from '../../protocol/outcome.ts';

/** Names that clients put there for text or bytes as they are. */
const IDENTITY: ReadonlySet<string> = new Set([
  '',
  'identity',
  'utf-8',
  'utf8',
  'binary',
  'ascii',
  'us-ascii',
]);

export function isIdentity(encoding: unknown): boolean {
  return encoding === undefined || (typeof encoding === 'string' && IDENTITY.has(encoding.toLowerCase()));
}

type Unpack = (
  body: Uint8Array,
  options: ZlibOptions,
  done: (error: Error | null, result: Buffer) => void,
) => void;

/** Undoes a content encoding. What comes out is bounded: a body of a kilobyte can unfold to a gigabyte. */
export function decodeContent(
  encoding: string,
  body: Uint8Array,
  maxBytes: number,
): Promise<Uint8Array | Failure> {
  const unpack = unpacker(encoding.toLowerCase(), body);
  if (!unpack)
    return Promise.resolve(
      failure(
        'request_invalid',
        `content_encoding ${JSON.stringify(encoding.slice(0, 64))} is not understood: send gzip, deflate or none`,
      ),
    );
  return new Promise((resolve) => {
    // zlib refuses a bound of 0.
    unpack(body, { maxOutputLength: Math.max(1, maxBytes) }, (error, result) => {
      if (!error) resolve(result);
      else if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
        resolve(failure('request_too_large', `the body unpacks to more than ${maxBytes} bytes`));
      else resolve(failure('request_invalid', `the body is not ${encoding}: ${error.message}`));
    });
  });
}

function unpacker(encoding: string, body: Uint8Array): Unpack | undefined {
  if (encoding === 'gzip' || encoding === 'x-gzip') return gunzip;
  if (encoding !== 'deflate') return undefined;
  // HTTP's "deflate" means the zlib format; half of the world sends it without zlib's header.
  const [first = 0, second = 0] = body;
  const zlibHeader = (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
  return zlibHeader ? inflate : inflateRaw;
}
