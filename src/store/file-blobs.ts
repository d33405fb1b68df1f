import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { IsolambdaError } from '../errors/error.ts';
import { checkedHash, HASH, sha256, type Blobs } from './blobs.ts';

export interface FileBlobs extends Blobs {
  /** Deletes those of `hashes` that nobody holds and that `referenced` doesn't name; returns how many. */
  sweep(
    hashes: readonly string[],
    referenced: (hashes: readonly string[]) => Promise<ReadonlySet<string>>,
  ): Promise<number>;
}

/** Blobs as files: `<root>/ab/cdef...`; written beside, synced, renamed, so that a name always means whole bytes. */
export async function openFileBlobs(root: string): Promise<FileBlobs> {
  const incoming = join(root, 'incoming');
  // What a kill left half-written there was never acknowledged.
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  const last = new Map<string, Promise<void>>();
  const held = new Map<string, number>();
  /** While a sweep runs: what was held at any moment of it. */
  const heldSince = new Set<Set<string>>();

  const folderOf = (hash: string): string => join(root, hash.slice(0, 2));
  const pathOf = (hash: string): string => join(folderOf(hash), hash.slice(2));

  /** Writes and removals of one blob run one after the other. */
  function inTurn(hash: string, work: () => Promise<void>): Promise<void> {
    const turn = (last.get(hash) ?? Promise.resolve()).then(work, work);
    last.set(hash, turn);
    const done = (): void => void (last.get(hash) === turn && last.delete(hash));
    turn.then(done, done);
    return turn;
  }

  async function write(hash: string, bytes: Uint8Array): Promise<void> {
    const folder = folderOf(hash);
    if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) await syncFolder(root);
    const there = await stat(pathOf(hash)).catch(() => undefined);
    if (there?.size !== bytes.byteLength) {
      const draft = join(incoming, randomBytes(12).toString('hex'));
      try {
        const file = await open(draft, 'wx', 0o600);
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(draft, pathOf(hash));
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
    }
    await syncFolder(folder);
  }

  function hold(hash: string): () => void {
    held.set(hash, (held.get(hash) ?? 0) + 1);
    for (const seen of heldSince) seen.add(hash);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const left = held.get(hash)! - 1;
      if (left === 0) held.delete(hash);
      else held.set(hash, left);
    };
  }

  return {
    async put(bytes) {
      const hash = await sha256(bytes);
      const release = hold(hash);
      try {
        await inTurn(hash, () => write(hash, bytes));
      } catch (error) {
        release();
        throw error;
      }
      return { hash, bytes: bytes.byteLength, release };
    },
    async get(hash) {
      const bytes = await readFile(pathOf(checkedHash(hash))).catch((cause: unknown) => {
        throw new IsolambdaError('internal', `blob ${hash} can't be read from the data folder`, { cause });
      });
      if ((await sha256(bytes)) !== hash)
        throw new IsolambdaError('internal', `blob ${hash} is damaged: upload the archive again`);
      return bytes;
    },
    async has(hash) {
      return stat(pathOf(checkedHash(hash))).then(
        () => true,
        () => false,
      );
    },
    async *list() {
      for (const folder of await readdir(root)) {
        if (!/^[0-9a-f]{2}$/.test(folder)) continue;
        const names = await readdir(join(root, folder));
        const hashes = names.map((name) => folder + name).filter((hash) => HASH.test(hash));
        if (hashes.length > 0) yield hashes;
      }
    },
    async sweep(hashes, referenced) {
      const seen = new Set(held.keys());
      heldSince.add(seen);
      let swept = 0;
      try {
        const kept = await referenced(hashes);
        for (const hash of new Set(hashes)) {
          if (kept.has(hash)) continue;
          await inTurn(hash, async () => {
            // Who held it since `referenced` was asked may have committed a reference. Who holds it from now on
            // writes it anew, after this.
            if (seen.has(hash)) return;
            if (await removed(pathOf(checkedHash(hash)))) swept += 1;
          });
        }
      } finally {
        heldSince.delete(seen);
      }
      return swept;
    },
  };
}

/** False where there was none. */
async function removed(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** A new name in a folder survives a power cut only once the folder itself is synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
