import { setTimeout as pause } from 'node:timers/promises';
import type { Invoke } from '../invoke/types.ts';
import type { TaskHead } from '../protocol/invocation.ts';
import type { LambdaEntry } from '../registry/types.ts';
import { verdictOf, type Verdict } from './verdict.ts';

/** How long one wait for a place in the account's queue lasts before it begins anew. */
const PLACE_WAIT_MS = 60_000;
/** A refusal that names no longer time is not answered by asking again at once. */
const LEAST_PAUSE_MS = 50;
const MOST_PAUSE_MS = 5_000;

export interface TaskCall {
  readonly lambda: LambdaEntry;
  readonly head: Omit<TaskHead, 'kind' | 'deadlineMs' | 'accountId'>;
  /** JSON. */
  readonly content: string;
  /** Wall time; the lambda's `timeout_ms` where it is less. */
  readonly timeoutMs: number | null;
  /** Asks the lambda to end. */
  readonly interrupt: AbortSignal;
  /** Ends it. */
  readonly cutOff: AbortSignal;
}

/**
 * One execution, from the wait for a place to its end. Tasks take the places that other calls of the account leave: where a
 * limit of rate or concurrency refuses them, they wait and ask again, for as long as it takes.
 */
export async function invokeTask(invoke: Invoke, call: TaskCall): Promise<Verdict> {
  const { lambda, head, content, timeoutMs, interrupt, cutOff } = call;
  const body = Buffer.from(content);
  for (;;) {
    if (interrupt.aborted || cutOff.aborted) return { kind: 'canceled' };
    const limitMs = lambda.active?.limits.timeout_ms ?? 0;
    const outcome = await invoke({
      source: 'task',
      lambda,
      head: { kind: 'task', accountId: lambda.accountId, deadlineMs: Date.now() + PLACE_WAIT_MS, ...head },
      body,
      runMs: Math.min(limitMs, timeoutMs ?? limitMs),
      interrupt,
      signal: cutOff,
    });
    const verdict = verdictOf(outcome);
    if (verdict.kind !== 'crowded') return verdict;
    const ms = Math.min(MOST_PAUSE_MS, Math.max(LEAST_PAUSE_MS, verdict.retryAfterMs));
    await pause(ms, undefined, { signal: interrupt }).catch(() => undefined);
  }
}
