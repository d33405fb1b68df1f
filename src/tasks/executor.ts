import type { Invoke } from '../invoke/types.ts';
import type { Registry } from '../registry/types.ts';
import type {
  Settlement,
  SplitClaim,
  SplitEnd,
  SubtaskClaim,
  SubtaskEnd,
  TaskEnded,
  TaskTerms,
} from '../store/task-claim-types.ts';
import type { Store } from '../store/store.ts';
import type { TaskPolicy, TaskState } from '../store/tasks.ts';
import type { Logger } from '../telemetry/log.ts';
import { pauseMs } from './backoff.ts';
import { invokeTask } from './invocation.ts';
import type { TaskMetrics } from './metrics.ts';
import { partsOf, resultOf } from './reply.ts';
import { Settler } from './settler.ts';
import { errorText, type Verdict } from './verdict.ts';

/** Executions that a subtask may lose to hosts, runners and isolates that died, before that counts as its own doing. */
export const MAX_LOSSES = 10;
const LOSS_PAUSE_MS = 250;
const LOSS_PAUSE_MAX_MS = 30_000;
/** A lambda that this host doesn't know yet may have been deployed on another. */
const UNKNOWN_PAUSE_MS = 500;
const TERMS_KEPT = 10_000;

export interface ExecutorOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly invoke: Invoke;
  readonly metrics: TaskMetrics;
  readonly log: Logger;
  readonly now: () => number;
  /** Between asking a subtask to end and ending it. */
  readonly cancelGraceMs: number;
  /** A place of the account is free again. */
  readonly onFree: (accountId: string) => void;
  /** A split or a subtask waits again, until then. */
  readonly onAgain: (claim: SplitClaim | SubtaskClaim, runAt: number) => void;
  /** A task was split: its subtasks wait. */
  readonly onSplit: (claim: SplitClaim, parts: number) => void;
}

interface Running {
  readonly taskId: number;
  readonly subtaskId: number | undefined;
  readonly accountId: string;
  readonly interrupt: AbortController;
  readonly cutOff: AbortController;
}

/** What is settled, whatever it was. */
interface Judged<End> {
  readonly end: End;
  readonly attempts: number;
  readonly losses: number;
}

/** Executes what was claimed, and stores what became of it. */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #settler: Settler;
  readonly #running = new Set<Running>();
  readonly #places = new Map<string, number>();
  readonly #terms = new Map<number, TaskTerms>();
  #idle: (() => void)[] = [];

  constructor(options: ExecutorOptions) {
    this.#options = options;
    const { store, registry, now, log } = options;
    this.#settler = new Settler({
      store,
      resultBytes: (accountId) => registry.limits(accountId).task_result_bytes,
      tooLarge: (limit) =>
        errorText({
          kind: 'reply_too_large',
          detail: `the results of the task would have more than ${limit} bytes (task_result_bytes)`,
        }),
      onEnded: (ended) => this.#ended(ended),
      now,
      log,
    });
  }

  /** Splits and subtasks in flight on this host. */
  get running(): number {
    return this.#running.size;
  }

  runningOf(accountId: string): number {
    return this.#places.get(accountId) ?? 0;
  }

  splitsOf(accountId: string): number {
    let count = 0;
    for (const one of this.#running) if (one.subtaskId === undefined && one.accountId === accountId) count++;
    return count;
  }

  runningTasks(): Set<number> {
    return new Set([...this.#running].map(({ taskId }) => taskId));
  }

  /** What has become of the tasks asked about: those cancelled are asked to end here, those gone are ended. */
  heed(asked: ReadonlySet<number>, states: ReadonlyMap<number, TaskState>): void {
    for (const one of this.#running) {
      if (!asked.has(one.taskId)) continue;
      const state = states.get(one.taskId);
      if (state === 'canceling') this.#interrupt(one);
      else if (state === undefined || (one.subtaskId === undefined && state !== 'splitting'))
        one.cutOff.abort();
    }
  }

  /** Never rejects. Resolves when the split is stored, or was no longer ours. */
  async split(claim: SplitClaim): Promise<void> {
    const { store, metrics, now, log } = this.#options;
    const running = this.#enter(claim, undefined);
    try {
      const verdict = await this.#invoke(running, claim, claim);
      const judged: Judged<SplitEnd> =
        verdict.kind === 'reply'
          ? await this.#splitEnd(claim, verdict.body)
          : this.#endOf(verdict, claim, claim.policy);
      const { end, attempts, losses } = judged;
      const stored = await store.transaction((tx) =>
        tx.taskClaims.settleSplit(claim, { ...end, attempts, losses }, now()),
      );
      if (!stored) return;
      if (end.kind === 'again') this.#options.onAgain(claim, end.runAt);
      else if (end.kind === 'failed') metrics.task('failed');
      else if (end.parts.length === 0) metrics.task('done');
      else this.#options.onSplit(claim, end.parts.length);
    } catch (error) {
      log.error({ err: error, task_id: claim.taskId }, 'a task could not be split: it is tried again');
    } finally {
      this.#leave(running);
    }
  }

  /** Never rejects. Resolves when what became of it is stored, or was no longer ours to store. */
  async execute(claim: SubtaskClaim): Promise<void> {
    const { metrics, log } = this.#options;
    const running = this.#enter(claim, claim.subtaskId);
    const startedMs = performance.now();
    try {
      const terms = await this.#termsOf(claim.taskId);
      // The task was deleted meanwhile.
      if (terms === undefined) return;
      const verdict = await this.#invoke(running, claim, terms);
      const { end, attempts, losses } =
        verdict.kind === 'reply'
          ? this.#resultEnd(claim, verdict.body)
          : this.#endOf(verdict, claim, terms.policy);
      const settled = await this.#settler.settle({ claim, end, attempts, losses });
      if (settled === 'again' && end.kind === 'again') this.#options.onAgain(claim, end.runAt);
      metrics.subtask(settled, performance.now() - startedMs);
    } catch (error) {
      log.error(
        { err: error, task_id: claim.taskId, subtask_id: claim.subtaskId },
        'a subtask could not be executed: it is tried again',
      );
    } finally {
      this.#leave(running);
    }
  }

  /** Claims of workers that are gone: they wait again, or fail where they were lost too often. */
  async lost(claims: readonly SubtaskClaim[]): Promise<void> {
    await Promise.all(
      claims.map(async (claim) => {
        const settlement: Settlement = { claim, ...this.#hostLost(claim) };
        const settled = await this.#settler.settle(settlement);
        if (settled === 'again') this.#options.onAgain(claim, this.#options.now());
      }),
    );
  }

  async lostSplit(claim: SplitClaim): Promise<void> {
    const { end, attempts, losses } = this.#hostLost(claim);
    await this.#options.store.transaction((tx) =>
      tx.taskClaims.settleSplit(claim, { ...end, attempts, losses }, this.#options.now()),
    );
    if (end.kind === 'again') this.#options.onAgain(claim, end.runAt);
  }

  /** What still runs after the grace time is ended, and waits for the next host. */
  async stop(graceMs: number): Promise<void> {
    if (this.#running.size === 0) return;
    const cutOff = setTimeout(() => {
      this.#settler.giveUp();
      for (const one of this.#running) one.cutOff.abort();
    }, graceMs);
    await new Promise<void>((resolve) => this.#idle.push(resolve));
    clearTimeout(cutOff);
  }

  #enter({ taskId, accountId }: SplitClaim | SubtaskClaim, subtaskId: number | undefined): Running {
    const running = {
      taskId,
      subtaskId,
      accountId,
      interrupt: new AbortController(),
      cutOff: new AbortController(),
    };
    this.#running.add(running);
    this.#places.set(accountId, this.runningOf(accountId) + 1);
    return running;
  }

  #leave(running: Running): void {
    const { accountId } = running;
    this.#running.delete(running);
    const left = this.runningOf(accountId) - 1;
    if (left === 0) this.#places.delete(accountId);
    else this.#places.set(accountId, left);
    this.#options.onFree(accountId);
    if (this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #interrupt(one: Running): void {
    if (one.interrupt.signal.aborted) return;
    one.interrupt.abort();
    setTimeout(() => one.cutOff.abort(), this.#options.cancelGraceMs).unref();
  }

  async #invoke(
    { interrupt, cutOff, subtaskId }: Running,
    claim: SplitClaim | SubtaskClaim,
    { policy, traceparent }: TaskTerms,
  ): Promise<Verdict> {
    const { registry, invoke, store } = this.#options;
    const { taskId, lambdaId, content, attempts } = claim;
    const lambda = registry.lambda(lambdaId);
    if (lambda === undefined) {
      // With several hosts this one may not have heard of it yet.
      if (await store.taskClaims.lambdaExists(lambdaId))
        return { kind: 'not_now', retryAfterMs: UNKNOWN_PAUSE_MS };
      return { kind: 'gone', detail: `lambda ${lambdaId} was deleted` };
    }
    const verdict = await invokeTask(invoke, {
      lambda,
      content,
      timeoutMs: policy.subtaskTimeoutMs,
      interrupt: interrupt.signal,
      cutOff: cutOff.signal,
      head: {
        requestId: `task-${taskId}-${subtaskId ?? 'split'}`,
        taskId,
        ...(subtaskId === undefined ? {} : { subtaskId }),
        attempt: attempts + 1,
        ...(traceparent === null ? {} : { traceparent }),
      },
    });
    // What it throws when it is asked to end is no error of its own.
    return interrupt.signal.aborted && verdict.kind === 'failed' ? { kind: 'canceled' } : verdict;
  }

  async #splitEnd(claim: SplitClaim, body: Uint8Array): Promise<Judged<SplitEnd>> {
    const parts = await partsOf(body, this.#options.registry.limits(claim.accountId).subtasks);
    const tried = { attempts: claim.attempts + 1, losses: claim.losses };
    if ('kind' in parts) return { end: { kind: 'failed', error: errorText(parts) }, ...tried };
    return { end: { kind: 'split', parts }, ...tried };
  }

  #resultEnd(claim: SubtaskClaim, body: Uint8Array): Judged<SubtaskEnd> {
    const { subtask_result_bytes: most } = this.#options.registry.limits(claim.accountId);
    const result = resultOf(body, most);
    const tried = { attempts: claim.attempts + 1, losses: claim.losses };
    if (typeof result !== 'string') return { end: { kind: 'failed', error: errorText(result) }, ...tried };
    return { end: { kind: 'done', result }, ...tried };
  }

  /** What every verdict but a reply makes of a claim. A split that is cut off for a cancel finds its claim void. */
  #endOf(
    verdict: Exclude<Verdict, { kind: 'reply' }>,
    claim: SplitClaim | SubtaskClaim,
    policy: TaskPolicy,
  ): Judged<Extract<SubtaskEnd, { kind: 'failed' | 'again' }>> {
    const now = this.#options.now();
    const { attempts, losses } = claim;
    switch (verdict.kind) {
      // Cut off because the host stops, or the task does: the store knows which, and makes the difference.
      case 'canceled':
        return { end: { kind: 'again', runAt: now }, attempts, losses };
      case 'crowded':
      case 'not_now':
        return { end: { kind: 'again', runAt: now + verdict.retryAfterMs }, attempts, losses };
      case 'gone':
        return {
          end: { kind: 'failed', error: errorText({ kind: 'lambda_not_found', detail: verdict.detail }) },
          attempts,
          losses,
        };
      case 'lost': {
        const lost = losses + 1;
        if (lost > MAX_LOSSES)
          return {
            end: { kind: 'failed', error: errorText(verdict.failure) },
            attempts: attempts + 1,
            losses: lost,
          };
        const pause = Math.max(
          verdict.failure.retryAfterMs ?? 0,
          // Those that were lost together must not all come back together: one of them may be why.
          pauseMs(lost, LOSS_PAUSE_MS, LOSS_PAUSE_MAX_MS) * (0.5 + Math.random()),
        );
        return { end: { kind: 'again', runAt: now + Math.round(pause) }, attempts, losses: lost };
      }
      case 'failed': {
        const tried = attempts + 1;
        if (!verdict.retried || tried >= policy.maxAttempts)
          return { end: { kind: 'failed', error: errorText(verdict.failure) }, attempts: tried, losses };
        const runAt = now + pauseMs(tried, policy.backoffMs, policy.maxBackoffMs);
        return { end: { kind: 'again', runAt }, attempts: tried, losses };
      }
    }
  }

  #hostLost(claim: SplitClaim | SubtaskClaim): Judged<Extract<SubtaskEnd, { kind: 'failed' | 'again' }>> {
    const losses = claim.losses + 1;
    const { attempts } = claim;
    if (losses <= MAX_LOSSES) return { end: { kind: 'again', runAt: this.#options.now() }, attempts, losses };
    const detail = `it was lost ${losses} times, the last time with its host`;
    return { end: { kind: 'failed', error: errorText({ kind: 'runner_lost', detail }) }, attempts, losses };
  }

  async #termsOf(taskId: number): Promise<TaskTerms | undefined> {
    const known = this.#terms.get(taskId);
    if (known !== undefined) return known;
    const found = await this.#options.store.taskClaims.terms(taskId);
    if (found === undefined) return undefined;
    if (this.#terms.size >= TERMS_KEPT) this.#terms.clear();
    this.#terms.set(taskId, found);
    return found;
  }

  #ended({ taskId, state }: TaskEnded): void {
    this.#terms.delete(taskId);
    this.#options.metrics.task(state);
  }
}
