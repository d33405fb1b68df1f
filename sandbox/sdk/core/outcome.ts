import { expectedError, ReplyRefused, RequestInvalid } from './exceptions.ts';
import type { WireReply } from './reply.ts';

/** How an invocation failed, as far as the isolate can tell. The kinds are those of the host's outcomes. */
export interface LambdaFailure {
  readonly kind:
    | 'user_exception'
    | 'exception'
    | 'reply_not_serializable'
    | 'reply_invalid'
    | 'reply_too_large'
    | 'request_invalid'
    | 'route_not_found'
    | 'method_not_allowed'
    | 'start_failed';
  readonly detail: string;
  readonly status?: number;
  readonly type?: string;
  /** With the positions of the bundle. */
  readonly stack?: string;
  readonly allow?: string;
}

export type LambdaResult = { readonly reply: WireReply } | { readonly failure: LambdaFailure };

/** The status that the host answers these with: see its table of errors. */
const STATUSES: Readonly<Record<LambdaFailure['kind'], number>> = {
  user_exception: 400,
  exception: 500,
  reply_not_serializable: 500,
  reply_invalid: 502,
  reply_too_large: 502,
  request_invalid: 400,
  route_not_found: 404,
  method_not_allowed: 405,
  start_failed: 503,
};

export const failureStatus = ({ kind, status }: LambdaFailure): number => status ?? STATUSES[kind];

const MAX_DETAIL_CHARS = 4 * 1024;

/** What was thrown, as a failure. Never throws itself: a thrown value may be a proxy, or have getters that throw. */
export function failureOf(
  thrown: unknown,
  unexpected: 'exception' | 'start_failed' = 'exception',
): LambdaFailure {
  try {
    if (thrown instanceof ReplyRefused) return { kind: thrown.kind, detail: clip(thrown.message) };
    if (thrown instanceof RequestInvalid) return { kind: 'request_invalid', detail: clip(thrown.message) };
    const expected = unexpected === 'exception' ? expectedError(thrown) : undefined;
    if (expected !== undefined) {
      const { status, type, detail } = expected;
      return { kind: 'user_exception', status, type, detail: clip(detail), ...stackOf(thrown) };
    }
    if (thrown instanceof Error) {
      return {
        kind: unexpected,
        type: clip(String(thrown.name)),
        detail: clip(String(thrown.message)),
        ...stackOf(thrown),
      };
    }
    return { kind: unexpected, type: typeName(thrown), detail: clip(describe(thrown)) };
  } catch {
    return {
      kind: unexpected,
      type: 'unknown',
      detail: 'the lambda threw a value that throws when it is looked at',
    };
  }
}

function stackOf(thrown: unknown): { stack?: string } {
  const stack: unknown =
    typeof thrown === 'object' && thrown !== null ? (thrown as { stack?: unknown }).stack : undefined;
  return typeof stack === 'string' ? { stack: stack.slice(0, 4 * MAX_DETAIL_CHARS) } : {};
}

function typeName(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return typeof thrown;
  const { constructor } = thrown;
  return typeof constructor === 'function' ? clip(String(constructor.name)) : 'object';
}

function describe(thrown: unknown): string {
  if (typeof thrown === 'object' && thrown !== null) {
    const { message } = thrown as { message?: unknown };
    return typeof message === 'string' ? message : (JSON.stringify(thrown) ?? 'object');
  }
  return String(thrown);
}

const clip = (text: string): string =>
  text.length > MAX_DETAIL_CHARS ? `${text.slice(0, MAX_DETAIL_CHARS)}...` : text;
