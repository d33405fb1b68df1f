import type { Problem } from '../errors/problem.ts';
import { IsolambdaError } from '../errors/error.ts';
import { ERRORS } from '../errors/table.ts';
import type { Failure } from '../protocol/outcome.ts';

/** The error that an upload is refused with: what is wrong with the zip itself has a code of its own. */
export function refusal(problems: readonly Problem[]): IsolambdaError {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const ofZip = errors.some(({ rule }) => rule.startsWith('zip_'));
  return new IsolambdaError(ofZip ? 'archive_refused' : 'validation', summary(errors), { problems });
}

/** The first problem, and how many more there are: for `detail`, and for the state of a lambda. */
export function summary(problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first, ...more] = errors;
  if (first === undefined) return '';
  const place =
    first.file === undefined
      ? ''
      : `${[first.file, first.line, first.column].filter((part) => part !== undefined).join(':')}: `;
  return `${place}${first.message}${more.length === 0 ? '' : ` (and ${more.length} more)`}`;
}

/** A start that failed, in the form of a problem of the build. */
export function startProblem({ kind, detail }: Failure): Problem {
  return { severity: 'error', rule: kind, message: detail, mend: ERRORS[kind].mend };
}

/** An error of the builder or the host itself, in the same form. */
export function errorProblem(error: unknown): Problem {
  const known = error instanceof IsolambdaError ? error : undefined;
  const code = known?.code ?? 'internal';
  // What an unknown error says may hold the host's paths: it goes to the host's log, not to the tenant.
  return {
    severity: 'error',
    rule: code,
    message: known?.message ?? ERRORS.internal.desc,
    mend: ERRORS[code].mend,
  };
}
