import { appendFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A segment is read whole into memory: it is never larger than this, however much of a log is kept. */
const MAX_SEGMENT_BYTES = 2 * 1024 * 1024;
/** The least number that the kept bytes are split into: with the oldest goes this share of the log. */
const LEAST_SEGMENTS = 4;

interface Segment {
  readonly first: number;
  bytes: number;
}

/**
 * One lambda's log on disk: NDJSON segments named by the sequence number of their first line. When the segments
 * together would pass the limit, the oldest goes. Appends of one lambda run one after another; a crash may cost the
 * last lines, never the file: a torn line is passed over when it is read.
 */
export class Segments {
  readonly #dir: string;
  #maxBytes: number;
  #segments: Segment[] | undefined;
  /** A process before this one may have been killed in the middle of a line: what comes next begins on one of its own. */
  #separator = '';

  constructor(dir: string, maxBytes: number) {
    this.#dir = dir;
    this.#maxBytes = maxBytes;
  }

  /** A changed limit holds from the next append on. */
  limit(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  /** The sequence number after the last kept line. */
  async nextSequence(): Promise<number> {
    const segments = await this.#open();
    const last = segments.at(-1);
    if (!last) return 1;
    const lines = await this.#lines(last.first);
    return last.first + lines.length;
  }

  /** Resolves with the bytes that it took. */
  async append(firstSequence: number, lines: string): Promise<number> {
    const segments = await this.#open();
    const text = this.#separator + lines;
    this.#separator = '';
    const bytes = Buffer.byteLength(text);
    const segmentBytes = Math.min(MAX_SEGMENT_BYTES, this.#maxBytes / LEAST_SEGMENTS);
    let last = segments.at(-1);
    if (!last || last.bytes + bytes > segmentBytes) {
      last = { first: firstSequence, bytes: 0 };
      segments.push(last);
      await mkdir(this.#dir, { recursive: true });
    }
    let kept = bytes;
    for (const segment of segments) kept += segment.bytes;
    while (kept > this.#maxBytes && segments.length > 1) {
      const oldest = segments.shift()!;
      kept -= oldest.bytes;
      await rm(this.#path(oldest.first), { force: true });
    }
    await appendFile(this.#path(last.first), text, { mode: 0o600 });
    last.bytes += bytes;
    return bytes;
  }

  /** Kept lines from the newest to the oldest; of those that hold no `needle`, none is parsed. */
  async *newestFirst(needle?: string): AsyncGenerator<unknown, void, void> {
    for (const { first } of [...(await this.#open())].reverse()) {
      for (const line of (await this.#lines(first)).reverse()) {
        const parsed = needle === undefined || line.includes(needle) ? parseLine(line) : undefined;
        if (parsed !== undefined) yield parsed;
      }
    }
  }

  async remove(): Promise<void> {
    this.#segments = undefined;
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #open(): Promise<Segment[]> {
    if (this.#segments) return this.#segments;
    const names = await readdir(this.#dir).catch(() => []);
    const firsts = names
      .map((name) => Number.parseInt(name, 10))
      .filter(Number.isInteger)
      .sort((a, b) => a - b);
    const found = await Promise.all(
      firsts.map(async (first) => ({ first, bytes: (await stat(this.#path(first))).size })),
    );
    if (found.length > 0) this.#separator = '\n';
    return (this.#segments ??= found);
  }

  async #lines(first: number): Promise<string[]> {
    const text = await readFile(this.#path(first), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }

  #path(first: number): string {
    return join(this.#dir, `${first}.ndjson`);
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
