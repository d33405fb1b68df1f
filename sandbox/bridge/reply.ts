import type { IsolateLimits } from '../../src/protocol/messages.ts';
import { failure, type Failure } from '../../src/protocol/outcome.ts';

/** Checks a reply's size once more, outside the isolate; undefined where it may go to the host. */
export function acceptReply(
  head: string,
  body: string | Uint8Array,
  limits: Pick<IsolateLimits, 'reply_bytes' | 'header_bytes'>,
): Failure | undefined {
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
  if (bytes > limits.reply_bytes) {
    return failure('reply_too_large', `the reply has ${bytes} bytes; reply_bytes is ${limits.reply_bytes}`);
  }
  // JSON's quotes and escapes may double what the headers themselves have; the host counts them exactly.
  if (head.length > 2 * limits.header_bytes + 1_024) {
    return failure(
      'reply_too_large',
      `the reply's headers are longer than header_bytes (${limits.header_bytes})`,
    );
  }
  return undefined;
}
