import type { Problem } from '../errors/problem.ts';

/** Where in the archive. Lines and columns count from 1. */
export interface Place {
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

/** So many problems are told; a hostile archive could otherwise make a list as large as itself. */
export const MAX_PROBLEMS = 100;
/** Longest message or mend, in UTF-16 units. */
export const MAX_TEXT = 1_000;

const cut = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 3)}...` : text);

/** Text of a tenant inside a message: control characters are shown, not obeyed, and long ones are cut. */
export function quote(text: string, longest = 120): string {
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest)}...` : text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function error(rule: string, message: string, mend: string, place: Place = {}): Problem {
  return problem('error', rule, message, mend, place);
}

export function warning(rule: string, message: string, mend: string, place: Place = {}): Problem {
  return problem('warning', rule, message, mend, place);
}

function problem(
  severity: Problem['severity'],
  rule: string,
  message: string,
  mend: string,
  place: Place,
): Problem {
  return {
    severity,
    rule,
    message: cut(message),
    mend: cut(mend),
    ...(place.file === undefined ? {} : { file: cut(place.file) }),
    ...(place.line === undefined ? {} : { line: place.line }),
    ...(place.column === undefined ? {} : { column: place.column }),
  };
}

export const hasErrors = (problems: readonly Problem[]): boolean =>
  problems.some((item) => item.severity === 'error');

/** Errors before warnings, each by file and line, no repeats, and no more than MAX_PROBLEMS. */
export function tidy(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  const unique = problems.filter((item) => {
    const key = JSON.stringify([item.rule, item.file, item.line, item.column, item.message]);
    return seen.has(key) ? false : (seen.add(key), true);
  });
  unique.sort(
    (a, b) =>
      Number(a.severity === 'warning') - Number(b.severity === 'warning') ||
      compare(a.file ?? '', b.file ?? '') ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
  if (unique.length <= MAX_PROBLEMS) return unique;
  const left = unique.length - (MAX_PROBLEMS - 1);
  const more = error('too_many_problems', `${left} more problems are not shown`, 'Mend these first.');
  return [...unique.slice(0, MAX_PROBLEMS - 1), more];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
