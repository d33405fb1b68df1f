import type { IncomingMessage } from 'node:http';
import type { ByteChunks } from '../../protocol/frame.ts';

/** Joining small ones costs less than to carry them on one by one. */
const JOIN_BYTES = 64 * 1024;
const joined = (chunks: readonly Buffer[], length: number): Buffer | ByteChunks =>
  length <= JOIN_BYTES ? Buffer.concat(chunks, length) : { length, chunks };

const NO_BODY = Buffer.alloc(0);

export type CollectedBody =
  { readonly body: Buffer | ByteChunks } | { readonly tooLarge: number } | { readonly broken: true };

/** Collects a request's body as opaque bytes, up to `limit`; more is refused before it is held. Calls back once. */
export function collectBody(
  request: IncomingMessage,
  limit: number,
  done: (collected: CollectedBody) => void,
): void {
  const length = request.headers['content-length'];
  if (length === undefined && request.headers['transfer-encoding'] === undefined)
    return done({ body: NO_BODY });
  const declared = Number(length ?? 0);
  if (declared > limit) return done({ tooLarge: declared });
  const chunks: Buffer[] = [];
  let bytes = 0;
  let settled = false;
  // The listeners go with the request: taking each off again would cost a small request more than its body.
  const settle = (collected: CollectedBody): void => {
    if (settled) return;
    settled = true;
    done(collected);
  };
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limit) settle({ tooLarge: bytes });
    else chunks.push(chunk);
  });
  request.on('end', () => settle({ body: chunks.length === 1 ? chunks[0]! : joined(chunks, bytes) }));
  request.on('error', () => settle({ broken: true }));
}
