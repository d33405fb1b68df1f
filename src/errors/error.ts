import type { Failure } from '../protocol/outcome.ts';
import { ERRORS, type ErrorName } from './table.ts';

/** The body of every error reply. */
export interface ErrorBody {
  readonly error_code: number;
  readonly desc: string;
  readonly detail: string;
  /** Where the error reference explains this code. */
  readonly link: string;
  /** Where more than one thing is wrong: each of them. */
  readonly problems?: readonly unknown[] | undefined;
  /** The lambda's source-mapped stack, where it asks for that. */
  readonly stack?: string | undefined;
}

export interface ErrorMore {
  readonly problems?: readonly unknown[];
  readonly retryAfterMs?: number;
  readonly allow?: string;
  readonly cause?: unknown;
}

/** An error of the table. Nothing else makes one: `throw new IsolambdaError('lambda_not_found', "no lambda ...")`. */
export class IsolambdaError extends Error {
  override readonly name = 'IsolambdaError';
  readonly code: ErrorName;
  readonly status: number;
  readonly problems: readonly unknown[] | undefined;
  readonly retryAfterMs: number | undefined;
  readonly allow: string | undefined;

  constructor(code: ErrorName, detail: string, more: ErrorMore = {}) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.status = ERRORS[code].status;
    this.problems = more.problems;
    this.retryAfterMs = more.retryAfterMs;
    this.allow = more.allow;
  }

  body(): ErrorBody {
    const body = errorBody(this.code, this.message);
    return this.problems ? { ...body, problems: this.problems } : body;
  }
}

/** The reply body of an error. `detail` says what happened this time. */
export function errorBody(name: ErrorName, detail: string): ErrorBody {
  const { code, desc } = ERRORS[name];
  return { error_code: code, desc, detail, link: `/docs/errors#${code}` };
}

/** Status and body of an invocation that failed. */
export function renderFailure(failure: Failure): { status: number; body: ErrorBody } {
  const status =
    failure.kind === 'user_exception' && failure.status !== undefined
      ? failure.status
      : ERRORS[failure.kind].status;
  const body = errorBody(failure.kind, failure.detail);
  return { status, body: failure.stack === undefined ? body : { ...body, stack: failure.stack } };
}
