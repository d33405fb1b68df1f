import { join } from 'node:path';
import { LIMITS } from '../../config/limits.ts';
import type { LogHead } from '../../protocol/messages.ts';
import { Journal, type DropReason } from './journal.ts';
import { matches, type LogFilter, type StoredLine } from './line.ts';

export type { DropReason } from './journal.ts';

/** Logs of lambdas: kept on disk within a size limit each, and passed on to whoever follows. */
export interface LogStore {
  /**
   * Takes the lines of one frame; never blocks, never fails. Past the write-behind bound, lines are dropped and counted in the log.
   * `keptBytes`: how much of this lambda's log stays on disk.
   */
  add(lambdaId: string, version: number, head: LogHead, keptBytes?: number): void;
  /** The newest lines that match, oldest first. */
  query(filter: LogFilter, limit: number): Promise<StoredLine[]>;
  /** Calls `onLine` for each new line that matches, until the returned function is called. */
  follow(filter: LogFilter, onLine: (line: StoredLine) => void): () => void;
  /** For good: what its isolates still say when they end is not kept. */
  remove(lambdaId: string): Promise<void>;
  /** Writes what is held. */
  flush(): Promise<void>;
  /** Readers that follow now. */
  readonly followers: number;
}

export interface LogStoreOptions {
  readonly dir: string;
  /** Held in memory per lambda until the disk took it; bytes. */
  readonly maxPendingBytes?: number;
  readonly now?: (() => number) | undefined;
  readonly onKept?: ((lines: number, bytes: number) => void) | undefined;
  readonly onDropped?: ((lines: number, reason: DropReason) => void) | undefined;
}

/** Ids of deleted lambdas that are remembered: their isolates take seconds to end, and may log until they have. */
const REMOVED_KEPT = 1_000;

export function createLogStore({
  dir,
  maxPendingBytes = 2 * 1024 * 1024,
  now = Date.now,
  onKept = () => undefined,
  onDropped = () => undefined,
}: LogStoreOptions): LogStore {
  const journals = new Map<string, Journal>();
  const removed = new Set<string>();
  const journalOf = (lambdaId: string): Journal => {
    const known = journals.get(lambdaId);
    if (known) return known;
    const made = new Journal({ dir: join(dir, lambdaId), maxPendingBytes, now, onKept, onDropped });
    journals.set(lambdaId, made);
    return made;
  };

  return {
    add(lambdaId, version, head, keptBytes = LIMITS.log_kept_bytes.default) {
      if (!removed.has(lambdaId)) journalOf(lambdaId).add(version, head, keptBytes);
    },
    async query(filter, limit) {
      const found: StoredLine[] = [];
      const needle = filter.requestId === undefined ? undefined : JSON.stringify(filter.requestId);
      for await (const line of journalOf(filter.lambdaId).newestFirst(needle)) {
        if (found.length >= limit) break;
        if (matches(line as StoredLine, filter)) found.push(line as StoredLine);
      }
      return found.reverse();
    },
    follow(filter, onLine) {
      const { followers } = journalOf(filter.lambdaId);
      const follower = (line: StoredLine): void => {
        if (matches(line, filter)) onLine(line);
      };
      followers.add(follower);
      return () => void followers.delete(follower);
    },
    async remove(lambdaId) {
      removed.add(lambdaId);
      if (removed.size > REMOVED_KEPT) removed.delete(removed.values().next().value!);
      const journal = journalOf(lambdaId);
      journals.delete(lambdaId);
      await journal.remove();
    },
    async flush() {
      await Promise.all([...journals.values()].map((journal) => journal.flush()));
    },
    get followers() {
      let count = 0;
      for (const journal of journals.values()) count += journal.followers.size;
      return count;
    },
  };
}
