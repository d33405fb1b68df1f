import { LIMITS } from '../../config/limits.ts';
import type { LogHead } from '../../protocol/messages.ts';
import type { StoredLine } from './line.ts';
import { Segments } from './segments.ts';

/** How lines were lost: `rate` before they reached the log, `backlog` because the disk was too slow, `disk` because it refused. */
export type DropReason = 'rate' | 'backlog' | 'disk';

export interface JournalParts {
  readonly dir: string;
  /** Held in memory until the disk took it; bytes. */
  readonly maxPendingBytes: number;
  readonly now: () => number;
  readonly onKept: (lines: number, bytes: number) => void;
  readonly onDropped: (lines: number, reason: DropReason) => void;
}

type Line = LogHead['lines'][number];
type Losses = Readonly<Record<DropReason, number>>;
const NO_LOSSES: Losses = { rate: 0, backlog: 0, disk: 0 };

interface Pending {
  readonly line: Line;
  readonly version: number;
  /** The line as JSON. */
  readonly text: string;
}

/** So often the log says how many lines it lost: under a flood, one for each loss would be a flood of its own. */
const TELL_EVERY_MS = 1_000;
/** What a line costs in memory beside its text. */
const LINE_OVERHEAD_BYTES = 128;

/** The log of one lambda: written behind, in order, within bounds of memory and disk. */
export class Journal {
  readonly followers = new Set<(line: StoredLine) => void>();
  readonly #parts: JournalParts;
  readonly #segments: Segments;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #untold = NO_LOSSES;
  #version = 0;
  #toldMs = -Infinity;
  #telling: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #nextSequence: number | undefined;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#segments = new Segments(parts.dir, LIMITS.log_kept_bytes.default);
  }

  /** Never waits, never fails. */
  add(version: number, { lines, dropped }: LogHead, keptBytes: number): void {
    this.#segments.limit(keptBytes);
    this.#version = version;
    if (dropped > 0) this.#lose(dropped, 'rate');
    for (const line of lines) {
      const text = JSON.stringify(line);
      const bytes = text.length + LINE_OVERHEAD_BYTES;
      if (this.#pendingBytes + bytes > this.#parts.maxPendingBytes) this.#lose(1, 'backlog');
      else {
        this.#pending.push({ line, version, text });
        this.#pendingBytes += bytes;
      }
    }
    this.#write();
  }

  /** Kept lines, the newest first, once what was given before is on disk. */
  async *newestFirst(needle?: string): AsyncGenerator<unknown, void, void> {
    await this.#writing;
    yield* this.#segments.newestFirst(needle);
  }

  /** What is held reaches the disk, and what was lost is told. */
  async flush(): Promise<void> {
    this.#toldMs = -Infinity;
    this.#write();
    await this.#writing;
  }

  async remove(): Promise<void> {
    clearTimeout(this.#telling);
    await this.#writing;
    await this.#segments.remove();
  }

  #lose(lines: number, reason: DropReason): void {
    this.#untold = { ...this.#untold, [reason]: this.#untold[reason] + lines };
    this.#parts.onDropped(lines, reason);
  }

  #write(): void {
    this.#writing ??= this.#drain().finally(() => (this.#writing = undefined));
  }

  async #drain(): Promise<void> {
    for (;;) {
      const taken = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      const untold = this.#untold;
      const told = this.#tell();
      const lines = told ? [...taken, told] : taken;
      if (lines.length === 0) return;
      try {
        await this.#keep(lines);
      } catch {
        // A full disk must not take the host down: the lines are lost, and counted.
        if (told) this.#untold = sumOf(untold, this.#untold);
        if (taken.length > 0) this.#lose(taken.length, 'disk');
      }
    }
  }

  async #keep(taken: readonly Pending[]): Promise<void> {
    const first = (this.#nextSequence ??= await this.#segments.nextSequence());
    this.#nextSequence += taken.length;
    let text = '';
    for (const [index, { line, version, text: json }] of taken.entries()) {
      const sequence = first + index;
      text += `{"sequence":${sequence},"version":${version},${json.slice(1)}\n`;
      for (const follower of this.followers) follower({ sequence, version, ...line });
    }
    this.#parts.onKept(taken.length, await this.#segments.append(first, text));
  }

  /** A line of the host's own about those that were lost: at once for the first, then once a second. */
  #tell(): Pending | undefined {
    const { rate, backlog, disk } = this.#untold;
    if (rate + backlog + disk === 0) return undefined;
    const now = this.#parts.now();
    const waitMs = this.#toldMs + TELL_EVERY_MS - now;
    if (waitMs > 0) {
      this.#telling ??= setTimeout(() => {
        this.#telling = undefined;
        this.#write();
      }, waitMs).unref();
      return undefined;
    }
    this.#toldMs = now;
    this.#untold = NO_LOSSES;
    const why = [
      rate > 0 ? `${rate} because the log rate is limited (log_bytes_per_s)` : '',
      backlog > 0 ? `${backlog} because the disk was too slow` : '',
      disk > 0 ? `${disk} because the disk refused them` : '',
    ];
    const message = `${rate + backlog + disk} log lines were dropped: ${why.filter(Boolean).join(', ')}`;
    const line: Line = { level: 'warning', time: now, message };
    return { line, version: this.#version, text: JSON.stringify(line) };
  }
}

const sumOf = (one: Losses, other: Losses): Losses => ({
  rate: one.rate + other.rate,
  backlog: one.backlog + other.backlog,
  disk: one.disk + other.disk,
});
