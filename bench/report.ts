import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Generator } from './load.ts';

/** One line of the results: a figure, the bound that it must meet, and the one it aims at. */
export interface Row {
  readonly bench: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: 'x' | 'ms' | 'us' | 'MB' | 'MB/s' | 'per s' | 'count';
  /** Met when value is at least (`least`) or at most (`most`) this. */
  readonly must?: { readonly least: number } | { readonly most: number };
  readonly aim?: number;
  /** Every single measurement behind the value. */
  readonly samples: readonly number[];
}

export const isMet = ({ value, must }: Row): boolean =>
  must === undefined || ('least' in must ? value >= must.least : value <= must.most);

export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.bench,
    row.figure,
    `${row.value.toPrecision(3)} ${row.unit}`,
    row.must ? ('least' in row.must ? `>= ${row.must.least}` : `<= ${row.must.most}`) : '',
    row.aim === undefined ? '' : String(row.aim),
    row.must ? (isMet(row) ? 'yes' : 'NO') : '',
  ]);
  const head = ['bench', 'figure', 'median', 'must', 'aim', 'met'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((cell) => cell[column]!.length)),
  );
  const line = (cell: readonly string[]): string =>
    `| ${cell.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...cells.map(line)].join(
    '\n',
  );
}

/** Appends the rows to bench/results.ndjson with the commit that they belong to, and what they depend on beside it. */
export function keep(rows: readonly Row[], path: URL, generator: Generator): void {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  let commit = 'unknown';
  try {
    commit =
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+changes');
  } catch {
    // Not in a checkout: the figures are kept all the same.
  }
  const run = {
    time: new Date().toISOString(),
    commit,
    node: process.version,
    cores: availableParallelism(),
    generator,
    autogrouping: groupsTasks(),
  };
  appendFileSync(path, rows.map((row) => `${JSON.stringify({ ...run, ...row })}\n`).join(''));
}

/** Whether the kernel shares the processor by session first, sched(7): then a runner's priority counts against other sessions only. */
function groupsTasks(): boolean {
  try {
    return readFileSync('/proc/sys/kernel/sched_autogroup_enabled', 'utf8').trim() === '1';
  } catch {
    return false;
  }
}
