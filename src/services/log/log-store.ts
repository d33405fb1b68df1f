import { join } from 'node:path';
import type { LogHead } from '../../protocol/messages.ts';
import { matches, type LogFilter, type StoredLine } from './line.ts';
import { Segments } from './segments.ts';

/** Logs of lambdas: kept on disk within a size limit each, and passed on to whoever follows. */
export interface LogStore {
  /** Takes the lines of one frame; never blocks, never fails. Past the write-behind bound, lines are dropped and counted in the log. */
  add(lambdaId: string, version: number, head: LogHead): void;
  /** The newest lines that match, oldest first. */
  query(filter: LogFilter, limit: number): Promise<StoredLine[]>;
  /** Calls `onLine` for each new line that matches, until the returned function is called. */
  follow(filter: LogFilter, onLine: (line: StoredLine) => void): () => void;
  remove(lambdaId: string): Promise<void>;
  /** Writes what is held. */
  flush(): Promise<void>;
}

export interface LogStoreOptions {
  readonly dir: string;
  /** Kept per lambda; bytes. */
  readonly maxBytes?: number;
  /** Held in memory per lambda until the disk took it; bytes. */
  readonly maxPendingBytes?: number;
}

interface Journal {
  readonly segments: Segments;
  readonly followers: Set<(line: StoredLine) => void>;
  pending: { line: LogHead['lines'][number]; version: number }[];
  pendingBytes: number;
  dropped: number;
  writing: Promise<void> | undefined;
  nextSequence: number | undefined;
}

export function createLogStore({
  dir,
  maxBytes = 8 * 1024 * 1024,
  maxPendingBytes = 2 * 1024 * 1024,
}: LogStoreOptions): LogStore {
  const journals = new Map<string, Journal>();
  const journalOf = (lambdaId: string): Journal => {
    const known = journals.get(lambdaId);
    if (known) return known;
    const made: Journal = {
      segments: new Segments(join(dir, lambdaId), maxBytes),
      followers: new Set(),
      pending: [],
      pendingBytes: 0,
      dropped: 0,
      writing: undefined,
      nextSequence: undefined,
    };
    journals.set(lambdaId, made);
    return made;
  };

  /** Writes until nothing is pending; one at a time for each lambda. */
  async function drain(journal: Journal): Promise<void> {
    journal.nextSequence ??= await journal.segments.nextSequence();
    while (journal.pending.length > 0 || journal.dropped > 0) {
      const first = journal.nextSequence;
      const lines = take(journal).map(({ line, version }, index): StoredLine => ({
        sequence: first + index,
        version,
        ...line,
      }));
      journal.nextSequence += lines.length;
      for (const line of lines) for (const follower of journal.followers) follower(line);
      await journal.segments.append(first, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    }
  }

  const write = (journal: Journal): Promise<void> =>
    (journal.writing ??= drain(journal)
      .catch(() => undefined) // a full disk must not take the host down; the lines are lost
      .finally(() => (journal.writing = undefined)));

  return {
    add(lambdaId, version, head) {
      const journal = journalOf(lambdaId);
      journal.dropped += head.dropped;
      for (const line of head.lines) {
        const bytes = line.message.length + LINE_OVERHEAD_BYTES;
        if (journal.pendingBytes + bytes > maxPendingBytes) journal.dropped += 1;
        else {
          journal.pending.push({ line, version });
          journal.pendingBytes += bytes;
        }
      }
      void write(journal);
    },
    async query(filter, limit) {
      const journal = journalOf(filter.lambdaId);
      await journal.writing;
      const found: StoredLine[] = [];
      for await (const line of journal.segments.newestFirst()) {
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
      const journal = journalOf(lambdaId);
      await journal.writing;
      journals.delete(lambdaId);
      await journal.segments.remove();
    },
    async flush() {
      await Promise.all([...journals.values()].map(async (journal) => journal.writing));
    },
  };
}

const LINE_OVERHEAD_BYTES = 128;

/** What is pending, with a line of the host's own that says how many were dropped. */
function take(journal: Journal): Journal['pending'] {
  const taken = journal.pending;
  if (journal.dropped > 0) {
    const message = `${journal.dropped} log lines were dropped: the log rate is limited (log_bytes_per_s)`;
    taken.push({
      line: { level: 'warning', time: Date.now(), message },
      version: taken.at(-1)?.version ?? 0,
    });
  }
  journal.pending = [];
  journal.pendingBytes = 0;
  journal.dropped = 0;
  return taken;
}
