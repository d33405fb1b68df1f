import { errorBody } from '../errors/error.ts';
import type { ErrorName } from '../errors/table.ts';
import type { Failure, FailureKind, Outcome } from '../protocol/outcome.ts';

/** What the outcome of one execution means for its task. */
export type Verdict =
  | { readonly kind: 'reply'; readonly body: Uint8Array }
  /** There was no place for it: it waits, and tries again. */
  | { readonly kind: 'crowded'; readonly retryAfterMs: number }
  /** It can't run now, and did not. */
  | { readonly kind: 'not_now'; readonly retryAfterMs: number }
  /** It was lost, maybe without its doing. */
  | { readonly kind: 'lost'; readonly failure: Failure }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly retried: boolean }
  | { readonly kind: 'canceled' }
  /** There is nothing to execute it any more. */
  | { readonly kind: 'gone'; readonly detail: string };

const SOON_MS = 250;
const LATER_MS = 1_000;

export function verdictOf(outcome: Outcome): Verdict {
  switch (outcome.kind) {
    case 'reply':
      return { kind: 'reply', body: outcome.body };
    case 'rate_limited':
    case 'concurrency_limit':
    case 'queue_full':
    case 'queue_timeout':
      return { kind: 'crowded', retryAfterMs: outcome.retryAfterMs ?? SOON_MS };
    case 'not_ready':
    case 'disabled':
    case 'draining':
      return { kind: 'not_now', retryAfterMs: outcome.retryAfterMs ?? LATER_MS };
    case 'quarantined':
    case 'isolate_lost':
    case 'runner_lost':
    case 'internal':
      return { kind: 'lost', failure: outcome };
    case 'canceled':
      return { kind: 'canceled' };
    // What the lambda means, and what would be the same the next time.
    case 'user_exception':
    case 'reply_not_serializable':
    case 'reply_invalid':
    case 'reply_too_large':
    case 'request_invalid':
    case 'request_too_large':
    case 'route_not_found':
    case 'method_not_allowed':
      return { kind: 'failed', failure: outcome, retried: false };
    case 'exception':
    case 'timeout':
    case 'cpu_limit':
    case 'memory_limit':
    case 'start_failed':
      return { kind: 'failed', failure: outcome, retried: true };
  }
}

/** An error as it is stored with its task or subtask, JSON: the body of an error reply, and the class of what was thrown. */
export function errorText(
  failure: Pick<Failure, 'detail' | 'type'> & { readonly kind: ErrorName | FailureKind },
): string {
  const { kind, detail, type } = failure;
  return JSON.stringify({ ...errorBody(kind, detail), ...(type === undefined ? {} : { type }) });
}
