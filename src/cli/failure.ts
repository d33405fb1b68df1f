import { CommanderError } from 'commander';
import {
  LambdaApiError,
  LambdaConnectionError,
  LambdaStateError,
  LambdaTimeoutError,
} from '../client/errors.ts';
import { RpcError, type RpcErrorCode } from '../client/rpc-errors.ts';
import { ConfigError } from '../config/config.ts';
import { IsolambdaError } from '../errors/error.ts';
import { ERRORS, ERROR_NAMES, type ErrorName } from '../errors/table.ts';
import { CommandError, type ProblemLine } from './command-error.ts';
import { EXIT, type ExitName } from './exit-codes.ts';
import { paintError, problemText } from './terminal.ts';

/** An error as a command tells it. */
export interface DescribedFailure {
  readonly exit: ExitName;
  readonly message: string;
  readonly mend?: string | undefined;
  readonly problems: readonly ProblemLine[];
  readonly errorCode?: number | undefined;
  readonly status?: number | undefined;
  readonly link?: string | undefined;
  /** Only for what nobody foresaw: a fault of the command itself. */
  readonly stack?: string | undefined;
}

const RPC_EXITS = {
  unroutable: 'notFound',
  timeout: 'timeout',
  lambda_error: 'lambdaError',
  connection_lost: 'unreachable',
  invalid_request: 'usage',
  invalid_reply: 'failed',
} as const satisfies Record<RpcErrorCode, ExitName>;

/** Translates every error that a command can end with: ours, the host's, the network's, and faults. */
export function describeFailure(error: unknown): DescribedFailure {
  if (error instanceof CommandError) {
    const { exit, message, mend, problems, errorCode, status } = error;
    return { exit, message, mend, problems, errorCode, status };
  }
  if (error instanceof CommanderError)
    return { exit: 'usage', message: error.message.replace(/^error: /, ''), problems: [] };
  if (error instanceof ConfigError)
    return {
      exit: 'usage',
      message: 'the configuration has problems',
      mend: 'isolambda serve --help lists every option with its default.',
      problems: error.problems.map((message) => ({ message })),
    };
  if (error instanceof LambdaApiError) return describeReply(error);
  if (error instanceof LambdaConnectionError)
    return { exit: 'unreachable', message: error.message, mend: START_A_HOST, problems: [] };
  if (error instanceof LambdaTimeoutError) return { exit: 'timeout', message: error.message, problems: [] };
  if (error instanceof LambdaStateError)
    return {
      exit: 'refused',
      message: error.message,
      mend: `See isolambda status ${error.lambdaId}, and deploy it again with --update.`,
      problems: [],
    };
  if (error instanceof RpcError) return { exit: RPC_EXITS[error.code], message: error.message, problems: [] };
  if (error instanceof IsolambdaError)
    return {
      exit: error.code === 'configuration' ? 'usage' : error.status === 404 ? 'notFound' : 'failed',
      message: error.message,
      mend: ERRORS[error.code].mend,
      problems: problemLines(error.problems ?? []),
      errorCode: ERRORS[error.code].code,
    };
  if (isSystemError(error)) return describeSystemError(error);
  return {
    exit: 'failed',
    message: error instanceof Error ? error.message : String(error),
    problems: [],
    stack: error instanceof Error ? error.stack : undefined,
  };
}

export const START_A_HOST =
  'Start a host: isolambda serve (in a source tree: npm start). Or name one: --origin URL.';

function describeReply(error: LambdaApiError): DescribedFailure {
  const { statusCode, errorCode } = error;
  const exit: ExitName =
    statusCode === 404
      ? 'notFound'
      : statusCode === 401 || statusCode === 403
        ? 'notAllowed'
        : statusCode < 500
          ? 'refused'
          : 'failed';
  return {
    exit,
    message: error.message,
    mend: mendOf(errorCode, statusCode),
    problems: problemLines(error.problems),
    errorCode,
    status: statusCode,
    link: error.link,
  };
}

/** The mend of the error table. A few codes have two entries, told apart by their status. */
export function mendOf(errorCode: number, status: number): string | undefined {
  const withCode = ERROR_NAMES.filter((name: ErrorName) => ERRORS[name].code === errorCode);
  const name = withCode.find((candidate) => ERRORS[candidate].status === status) ?? withCode[0];
  return name === undefined ? undefined : ERRORS[name].mend;
}

/** The host's problems come over the network: what is no problem of the expected shape is shown as JSON. */
export function problemLines(given: readonly unknown[]): ProblemLine[] {
  return given.map((problem) => {
    if (typeof problem === 'string') return { message: problem };
    if (typeof problem !== 'object' || problem === null) return { message: JSON.stringify(problem) };
    const { severity, rule, message, mend, file, line, column } = problem as Record<string, unknown>;
    const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
    const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
    return {
      severity: text(severity),
      rule: text(rule),
      message: text(message) ?? JSON.stringify(problem),
      mend: text(mend),
      file: text(file),
      line: number(line),
      column: number(column),
    };
  });
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error && 'code' in error;

function describeSystemError(error: NodeJS.ErrnoException): DescribedFailure {
  const { code, message } = error;
  if (code === 'ENOENT') return { exit: 'notFound', message, problems: [] };
  if (code === 'EADDRINUSE')
    return {
      exit: 'failed',
      message,
      mend: 'Another process listens there: choose another --port (0 picks a free one), or stop that process.',
      problems: [],
    };
  return { exit: 'failed', message, problems: [] };
}

/** Tells a failure: words on standard error, and with `--json` the one document on standard output. */
export function printFailure(
  failure: DescribedFailure,
  { json, quiet = false }: { readonly json: boolean; readonly quiet?: boolean },
): void {
  if (json) {
    const { exit, message, mend, problems, errorCode, status, link } = failure;
    const error = {
      exit,
      exit_code: EXIT[exit].code,
      message,
      mend,
      error_code: errorCode,
      status,
      link,
      problems,
    };
    process.stdout.write(`${JSON.stringify({ error }, null, 2)}\n`);
  }
  if (quiet) return;
  const lines = [`${paintError('red', 'error:')} ${failure.message}`, ...failure.problems.map(problemText)];
  // A problem has its own mend; the general one would only repeat it.
  if (failure.mend !== undefined && !failure.problems.some(({ mend }) => mend !== undefined))
    lines.push(`${paintError('green', 'mend:')} ${failure.mend}`);
  if (failure.stack !== undefined) lines.push(paintError('dim', failure.stack));
  process.stderr.write(`${lines.join('\n')}\n`);
}
