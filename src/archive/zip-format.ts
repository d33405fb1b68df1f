/** What the readers of a zip's parts share. Layout: PKWARE APPNOTE 6.3.10, sections 4.3.6 to 4.3.16, 4.4 and 4.5. */
import { error } from './problem.ts';
import type { Problem } from '../errors/problem.ts';

export interface ZipLimits {
  readonly archive_files: number;
  readonly unpacked_bytes: number;
}

export const CENTRAL_BYTES = 46;
export const FLAG_DESCRIPTOR = 1 << 3;
export const FLAG_UTF8 = 1 << 11;

/** An entry as the central directory has it. */
export interface Central {
  readonly madeBy: number;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly disk: number;
  readonly attributes: number;
  readonly localAt: number;
  readonly nameBytes: Buffer;
  /** Absent where its bytes are no UTF-8. */
  readonly name: string | undefined;
  readonly extra: Buffer;
  /** Where the next entry begins. */
  readonly next: number;
}

export const PACK_AGAIN =
  'Make the archive again with isolambda pack, or with zip -r from inside the folder.';
export const PLAIN_ZIP = 'Make a plain zip: no encryption, no splitting, methods store or deflate.';

export const refuse = (rule: string, message: string, mend = PACK_AGAIN, file?: string): Problem =>
  error(rule, message, mend, { file });
