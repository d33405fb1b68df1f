import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HASH, sha256 } from './blobs.ts';

/** Blobs that this host used lately, by content hash: what the database holds need not be fetched for each cold start. */
export interface BlobCache {
  /** Undefined where it isn't held, or is no longer what was written. */
  get(hash: string): Promise<Uint8Array | undefined>;
  /** A full disk is no error: the database has it. */
  put(hash: string, bytes: Uint8Array): Promise<void>;
  remove(hash: string): Promise<void>;
}

/** Files `<root>/<hash>`, of `maxBytes` in all: those whose use is longest ago go first. */
export async function openBlobCache(root: string, maxBytes: number): Promise<BlobCache> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  // A Map keeps insertion order: the first is the one whose use is longest ago.
  const held = new Map<string, number>();
  let heldBytes = 0;
  for (const { name, bytes } of await filesOf(root)) {
    held.set(name, bytes);
    heldBytes += bytes;
  }

  function forget(hash: string): void {
    heldBytes -= held.get(hash) ?? 0;
    held.delete(hash);
  }

  async function remove(hash: string): Promise<void> {
    forget(hash);
    await rm(join(root, hash), { force: true });
  }

  return {
    async get(hash) {
      const path = join(root, hash);
      const bytes = await readFile(path).catch(() => undefined);
      if (bytes === undefined) return undefined;
      if ((await sha256(bytes)) !== hash) {
        await remove(hash);
        return undefined;
      }
      const known = held.get(hash);
      if (known !== undefined) {
        held.delete(hash);
        held.set(hash, known);
      }
      const now = new Date();
      // The order outlives a restart.
      await utimes(path, now, now).catch(() => undefined);
      return bytes;
    },
    async put(hash, bytes) {
      if (held.has(hash) || bytes.byteLength > maxBytes) return;
      // Not synced: after a power cut the hash tells what is whole.
      const draft = join(root, `${randomBytes(12).toString('hex')}.new`);
      try {
        await writeFile(draft, bytes, { flag: 'wx', mode: 0o600 });
        await rename(draft, join(root, hash));
      } catch {
        await rm(draft, { force: true }).catch(() => undefined);
        return;
      }
      forget(hash);
      held.set(hash, bytes.byteLength);
      heldBytes += bytes.byteLength;
      for (const oldest of [...held.keys()]) {
        if (heldBytes <= maxBytes) break;
        await remove(oldest);
      }
    },
    remove,
  };
}

/** The files of earlier runs, the one whose use is longest ago first; what a kill left half-written goes. */
async function filesOf(root: string): Promise<{ name: string; bytes: number; usedMs: number }[]> {
  const files: { name: string; bytes: number; usedMs: number }[] = [];
  for (const name of await readdir(root)) {
    if (!HASH.test(name)) await rm(join(root, name), { recursive: true, force: true });
    else {
      const { size, mtimeMs } = await stat(join(root, name));
      files.push({ name, bytes: size, usedMs: mtimeMs });
    }
  }
  return files.sort((one, other) => one.usedMs - other.usedMs);
}
