import { appendFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * One lambda's log on disk: NDJSON segments named by the sequence number of their first line. When the segments
 * together pass `maxBytes`, the oldest goes. Appends of one lambda run one after another; a crash may cost the
 * last lines, never the file: a torn line is passed over when it is read.
 */
export class Segments {
  readonly #dir: string;
  readonly #maxBytes: number;
  #segments: { first: number; bytes: number }[] | undefined;

  constructor(dir: string, maxBytes: number) {
    this.#dir = dir;
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

  async append(firstSequence: number, text: string): Promise<void> {
    const segments = await this.#open();
    let last = segments.at(-1);
    if (!last || last.bytes >= this.#maxBytes / SEGMENTS) {
      last = { first: firstSequence, bytes: 0 };
      segments.push(last);
      await mkdir(this.#dir, { recursive: true });
    }
    await appendFile(this.#path(last.first), text, { mode: 0o600 });
    last.bytes += Buffer.byteLength(text);
    while (segments.length > SEGMENTS) {
      const oldest = segments.shift()!;
      await rm(this.#path(oldest.first), { force: true });
    }
  }

  /** Kept lines from the newest to the oldest. */
  async *newestFirst(): AsyncGenerator<unknown, void, void> {
    for (const { first } of [...(await this.#open())].reverse()) {
      for (const line of (await this.#lines(first)).reverse()) {
        const parsed = parseLine(line);
        if (parsed !== undefined) yield parsed;
      }
    }
  }

  async remove(): Promise<void> {
    this.#segments = undefined;
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #open(): Promise<{ first: number; bytes: number }[]> {
    if (this.#segments) return this.#segments;
    const names = await readdir(this.#dir).catch(() => []);
    const firsts = names
      .map((name) => Number.parseInt(name, 10))
      .filter(Number.isInteger)
      .sort((a, b) => a - b);
    const found = await Promise.all(
      firsts.map(async (first) => ({ first, bytes: (await stat(this.#path(first))).size })),
    );
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

const SEGMENTS = 4;

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
