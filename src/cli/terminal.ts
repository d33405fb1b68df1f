import { styleText } from 'node:util';
import type { ProblemLine } from './command-error.ts';

/**
 * Where a command's words go. Standard output carries the answer: text for people, or with `--json` exactly one
 * JSON document. Everything else (progress, notes, errors) goes to standard error. Colours and progress appear
 * only where a person looks: on a TTY, and not when NO_COLOR is set (`styleText` checks both).
 */
export interface Terminal {
  readonly json: boolean;
  /** The answer: `value` as JSON with `--json`, else the text. */
  answer(value: unknown, text: () => string): void;
  /** A remark beside the answer, on standard error. */
  note(text: string): void;
  progress(text: string): Progress;
}

/** A line about long work, on standard error, which replaces itself. Silent where nobody looks. */
export interface Progress {
  update(text: string): void;
  /** Removes the line; idempotent. */
  end(): void;
}

type Format = Parameters<typeof styleText>[0];
export const paint = (format: Format, text: string): string =>
  styleText(format, text, { stream: process.stdout });
export const paintError = (format: Format, text: string): string =>
  styleText(format, text, { stream: process.stderr });

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;

export function createTerminal(options: { readonly json?: boolean | undefined }): Terminal {
  const json = options.json === true;
  return {
    json,
    answer: (value, text) => {
      process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text()}\n`);
    },
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
    progress: (text) => (process.stderr.isTTY ? spinner(text) : { update: () => {}, end: () => {} }),
  };
}

function spinner(first: string): Progress {
  const started = performance.now();
  let text = first;
  let frame = 0;
  const draw = (): void => {
    const seconds = Math.floor((performance.now() - started) / 1000);
    const mark = paintError('cyan', FRAMES[frame++ % FRAMES.length] ?? '');
    process.stderr.write(`\r\u001b[2K${mark} ${text}${seconds > 0 ? ` ${seconds} s` : ''}`);
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  timer.unref();
  let ended = false;
  return {
    update: (next) => {
      text = next;
    },
    end: () => {
      if (ended) return;
      ended = true;
      clearInterval(timer);
      process.stderr.write('\r\u001b[2K');
    },
  };
}

/** `lambda_main.ts:3:7 error main_missing What is wrong` with the mend on a line of its own. */
export function problemText(problem: ProblemLine): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(':');
  const severity = problem.severity ?? 'error';
  const head = [
    place === '' ? '' : paintError('bold', place),
    paintError(severity === 'warning' ? 'yellow' : 'red', severity),
    problem.rule === undefined ? '' : paintError('dim', problem.rule),
    problem.message,
  ];
  const mend = problem.mend === undefined ? '' : `\n    mend: ${problem.mend}`;
  return `  ${head.filter(Boolean).join(' ')}${mend}`;
}

/** Text columns for people: as wide as their widest cell, two spaces between. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => (row[at] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (at === cells.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return [paint('dim', line(heads)), ...rows.map(line)].join('\n');
}

/** `1,234 bytes`, `12.3 KiB`, `4.5 MiB`. */
export function sizeText(bytes: number): string {
  if (bytes < 10_240) return `${bytes.toLocaleString('en')} bytes`;
  return bytes < 1_048_576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
