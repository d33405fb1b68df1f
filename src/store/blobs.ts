import { webcrypto } from 'node:crypto';
import { IsolambdaError } from '../errors/error.ts';

/** A blob that was written, and is held until `release`: a sweep leaves it alone though nothing refers to it yet. */
export interface HeldBlob {
  /** SHA-256 of its bytes, hex. */
  readonly hash: string;
  readonly bytes: number;
  /** Call once what refers to it is committed, or given up; idempotent. */
  release(): void;
}

/** Bytes by their SHA-256: files of the data folder, or, where several hosts share PostgreSQL, rows there. */
export interface Blobs {
  /** Kept, whatever happens next, once it resolves. */
  put(bytes: Uint8Array): Promise<HeldBlob>;
  /** Error `internal` where the blob is gone, or is no longer what was written. */
  get(hash: string): Promise<Uint8Array>;
  has(hash: string): Promise<boolean>;
  list(): AsyncGenerator<string[]>;
}

export const HASH = /^[0-9a-f]{64}$/;

export async function sha256(bytes: Uint8Array): Promise<string> {
  // In the thread pool: an archive of 20 MiB would hold the event loop for tens of milliseconds.
  const digest = await webcrypto.subtle.digest('SHA-256', bytes);
  return Buffer.from(digest).toString('hex');
}

export function checkedHash(hash: string): string {
  if (!HASH.test(hash)) throw new IsolambdaError('internal', `"${hash}" is no hash of a blob`);
  return hash;
}
