/** The error reference, made from the table: rows, and the Markdown of `docs/errors.md`. */
import { ERRORS, ERROR_NAMES, type ErrorName } from './table.ts';

/** One cause of a code: some codes have more than one, told apart by `detail` and status. */
export interface ErrorCause {
  readonly name: ErrorName;
  readonly status: number;
  readonly desc: string;
  readonly mend: string;
}
export interface ErrorEntry {
  readonly code: number;
  readonly causes: readonly ErrorCause[];
}

/** By code, in ascending order. */
export function errorReference(): ErrorEntry[] {
  const byCode = new Map<number, ErrorCause[]>();
  for (const name of ERROR_NAMES) {
    const { code, status, desc, mend } = ERRORS[name];
    const causes = byCode.get(code) ?? [];
    causes.push({ name, status, desc, mend });
    byCode.set(code, causes);
  }
  return [...byCode].sort(([a], [b]) => a - b).map(([code, causes]) => ({ code, causes }));
}

export const INTRODUCTION =
  'Every error reply has the body `{"error_code", "desc", "detail", "link"}`; `detail` says what happened this time, ' +
  'and `problems` lists each thing wrong where there can be more than one. ' +
  'Replies with `Retry-After` can be tried again after that many seconds.';

/** In the form that the formatter leaves alone. A heading's anchor is the code, as in the `link` of an error body. */
export function errorsMarkdown(): string {
  const sections = errorReference().map(({ code, causes }) => {
    const lines = causes.map(
      ({ name, status, desc, mend }) => `- **${desc}** (HTTP ${status}, \`${name}\`). ${mend}`,
    );
    return `## ${code}\n\n${lines.join('\n')}\n`;
  });
  return [
    '# Errors\n',
    '<!-- Made from src/errors/table.ts by `node src/errors/write-reference.ts`. Do not edit. -->\n',
    `${INTRODUCTION}\n`,
    ...sections,
  ].join('\n');
}
