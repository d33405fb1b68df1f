import type { ExitName } from './exit-codes.ts';

/** One thing wrong in an archive or a request, as validation and the host tell it. */
export interface ProblemLine {
  readonly severity?: string | undefined;
  readonly rule?: string | undefined;
  readonly message: string;
  readonly mend?: string | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

export interface CommandErrorMore {
  /** What the reader can do about it. */
  readonly mend?: string | undefined;
  readonly problems?: readonly ProblemLine[] | undefined;
  /** The host's error code, where a host refused. */
  readonly errorCode?: number | undefined;
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

/** An end of a command that its user can understand: it is printed without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: ExitName;
  readonly mend: string | undefined;
  readonly problems: readonly ProblemLine[];
  readonly errorCode: number | undefined;
  readonly status: number | undefined;

  constructor(exit: ExitName, message: string, more: CommandErrorMore = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.exit = exit;
    this.mend = more.mend;
    this.problems = more.problems ?? [];
    this.errorCode = more.errorCode;
    this.status = more.status;
  }
}
