import type { Deployment } from '../config/deployment.ts';
import { failure, type Failure, type FailureKind, type Outcome } from '../protocol/outcome.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import type { Sent } from './runner-process.ts';
import type { InvocationUsage, PoolInvocation } from './types.ts';

/** How long after its deadline the runner's own answer is still waited for: its timer runs by the same clock, and it knows more. */
export const ANSWER_MARGIN_MS = 250;
/** An invocation that has its outcome, but no answer from the runner this long after its deadline, condemns the runner. */
export const SILENCE_MS = 3000;
/** When it makes sense to send again what a dying isolate or runner took with it. */
export const RETRY_AFTER_MS = 1000;

export interface CallResult {
  readonly outcome: Outcome;
  readonly usage: InvocationUsage;
}

/** The runner that a call was sent to. */
export interface CallCarrier {
  /** The caller has its outcome; the runner may stop. */
  cancel(call: Call): void;
  /** The lambda is asked to end; its result is still waited for. */
  interrupt(call: Call): void;
  /** The runner should have answered long ago. */
  onSilence(call: Call): void;
}

/** One invocation on its way: waits for an isolate, is sent, gets its outcome once. */
export class Call implements Expiring, Sent {
  /** The wheel's mark. */
  slot = 0;
  /** Its bytes were handed to the runner's socket: it may have run, and can't be sent again. */
  written = false;
  /** It was taken back from a dying isolate or runner once; there is no second time. */
  resubmitted = false;
  /** The id in its frames, while a runner has it. */
  id = 0;
  /** Outward requests so far. */
  fetches = 0;
  readonly deployment: Deployment;
  readonly invocation: PoolInvocation;
  #settled = false;
  #carrier: CallCarrier | undefined;
  #controller: AbortController | undefined;
  readonly #deadlines: Deadlines;
  readonly #resolve: (result: CallResult) => void;
  #onSettled: (() => void) | undefined;

  constructor(
    deployment: Deployment,
    invocation: PoolInvocation,
    deadlines: Deadlines,
    resolve: (result: CallResult) => void,
  ) {
    this.deployment = deployment;
    this.invocation = invocation;
    this.#deadlines = deadlines;
    this.#resolve = resolve;
    deadlines.add(this, invocation.head.deadlineMs);
    invocation.signal?.addEventListener('abort', this.#onAbort, { once: true });
    invocation.interrupt?.addEventListener('abort', this.#onInterrupt, { once: true });
  }

  get settled(): boolean {
    return this.#settled;
  }

  get deadlineMs(): number {
    return this.invocation.head.deadlineMs;
  }

  /** Aborts when the invocation has ended, however it did; made on first use, since most invocations call nothing. */
  get ended(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#settled) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Stands in an isolate now: `onSettled` keeps its count. */
  place(onSettled: () => void): void {
    this.#onSettled = onSettled;
  }

  /** Taken back: as if it had never been placed. */
  displace(): void {
    this.#onSettled = undefined;
    this.#carrier = undefined;
    this.written = false;
    this.id = 0;
  }

  carry(carrier: CallCarrier, id: number): void {
    this.#carrier = carrier;
    this.id = id;
  }

  settle(outcome: Outcome, cpuUs = 0): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#deadlines.remove(this);
    this.invocation.signal?.removeEventListener('abort', this.#onAbort);
    this.invocation.interrupt?.removeEventListener('abort', this.#onInterrupt);
    this.#controller?.abort();
    this.#onSettled?.();
    this.#resolve({ outcome, usage: { cpuUs } });
  }

  fail(kind: FailureKind, detail: string, more?: Omit<Failure, 'kind' | 'detail'>): void {
    this.settle(failure(kind, detail, more));
  }

  /** The runner answered: nothing is waited for any more. */
  answered(): void {
    this.#carrier = undefined;
    this.#deadlines.remove(this);
  }

  expire(): void {
    const carrier = this.#carrier;
    if (this.#settled) {
      carrier?.onSilence(this);
    } else if (!carrier) {
      this.fail('timeout', 'the lambda was not ready before the deadline');
    } else if (this.#deadlines.now() < this.deadlineMs + ANSWER_MARGIN_MS) {
      this.#deadlines.add(this, this.deadlineMs + ANSWER_MARGIN_MS);
    } else {
      this.fail('timeout', 'the lambda did not answer before the deadline');
      this.watchSilence();
    }
  }

  /** It has its outcome, but the runner still owes an answer. */
  watchSilence(): void {
    if (this.#carrier)
      this.#deadlines.add(this, Math.max(this.deadlineMs, this.#deadlines.now()) + SILENCE_MS);
  }

  readonly #onInterrupt = (): void => {
    if (this.#settled) return;
    if (this.#carrier) this.#carrier.interrupt(this);
    else this.fail('canceled', 'it was cancelled before it ran');
  };

  readonly #onAbort = (): void => {
    if (this.#settled) return;
    const carrier = this.#carrier;
    // An edge may abort at the deadline itself: then it is the deadline that ended the call.
    if (this.#deadlines.now() >= this.deadlineMs)
      this.fail('timeout', 'the lambda did not answer before the deadline');
    else this.fail('canceled', 'the caller went away');
    if (!carrier) return;
    carrier.cancel(this);
    this.watchSilence();
  };
}
