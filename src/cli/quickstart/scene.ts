import { paint } from '../terminal.ts';

/** How the quickstart looks: numbered steps, and below each the calls with their replies. */

export const line = (text: string): void => void process.stdout.write(`${text}\n`);

let steps = 0;
export function step(title: string, about: string): void {
  steps += 1;
  line(`\n${paint('bold', `${steps} ${title}`)}\n  ${about}`);
}

/** Elapsed time since a `performance.now()`: `3.2 ms`, `140 ms`, `1.2 s`. */
export function since(started: number): string {
  const ms = performance.now() - started;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

export interface ShownCall {
  readonly who: string;
  readonly lambda: string;
  readonly body: unknown;
  readonly status: number;
  readonly took: string;
  readonly reply: string;
}

const WIDTH = 92;

/** Request and reply, one line each; long ones are broken between words, not cut. */
export function showCall({ who, lambda, body, status, took, reply }: ShownCall): void {
  const request = body === undefined ? '' : ` -d '${JSON.stringify(body)}'`;
  const colour = status < 400 ? 'green' : 'red';
  line(`  ${paint('dim', `${who} $`)} isolambda invoke ${lambda}${request}`);
  line(`  ${paint(colour, String(status))} ${paint('dim', `in ${took}`)}`);
  for (const part of wrap(reply)) line(`    ${part}`);
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let rest = text.trimEnd();
  while (rest.length > WIDTH) {
    const cut = Math.max(rest.lastIndexOf(',', WIDTH - 1), rest.lastIndexOf(' ', WIDTH - 1));
    const at = cut > 0 ? cut + 1 : WIDTH;
    lines.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  return [...lines, rest];
}
