import { failure, type Failure, type Outcome } from '../../protocol/outcome.ts';
import type { Logger } from '../../telemetry/log.ts';
import { decodeContent, isIdentity } from './encoding.ts';
import type { Job } from './job.ts';
import { afterRunnerDeath, isRunnerDeath } from './poison.ts';
import type { Responder } from './responder.ts';
import { SlowStart } from './slow-start.ts';
import type { Tracer } from '../../telemetry/trace-context.ts';
import type { Serve } from './types.ts';

export interface DispatcherOptions {
  readonly serve: Serve;
  readonly responder: Responder;
  /** Too many replies wait for the broker: start nothing more. */
  readonly congested: () => boolean;
  readonly concurrency: number;
  readonly requestBytes: number;
  readonly headerBytes: number;
  readonly tracer: Tracer | undefined;
  readonly log: Pick<Logger, 'error'> | undefined;
  readonly now: () => number;
}

/** Deadlines are looked at this often: one timer for all, because one per message would cost more than the message. */
const SWEEP_MS = 50;
/** A handler that was told to stop at its deadline has so long to say how it ended; then it is answered for. */
const OVERRUN_MS = 500;

/** Runs jobs: so many at once, each until its deadline, those that were near a runner's death apart from the others. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  #waiting: Job[] = [];
  /** Were in flight when a runner died, and wait for their second try. */
  #suspects: Job[] = [];
  /** Died twice, not alone: each waits until no other suspect runs, and then runs without one. */
  #soloists: Job[] = [];
  #soloRuns = false;
  readonly #jobs = new Set<Job>();
  #running = 0;
  #suspectsRunning = 0;
  readonly #slow: SlowStart;
  #sweep: NodeJS.Timeout | undefined;
  #paused = false;
  /** While the host stops, a `draining` outcome gives the message back instead of answering it. */
  #givesBack = false;
  #onEmpty: (() => void)[] = [];

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#slow = new SlowStart(options.concurrency);
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#jobs.size - this.#running;
  }

  /** Jobs whose handlers run: they outlive the connection that brought them. */
  runningJobs(): Job[] {
    return [...this.#jobs].filter((job) => job.running);
  }

  add(job: Job): void {
    this.#jobs.add(job);
    this.#waiting.push(job);
    this.#sweep ??= setInterval(() => this.#sweepDeadlines(), SWEEP_MS);
    this.pump();
  }

  /** Starts what fits. */
  pump(): void {
    const { concurrency, congested } = this.#options;
    while (!this.#paused && this.#running < concurrency && !congested()) {
      const job = this.#nextSuspect() ?? this.#waiting.shift();
      if (!job) return;
      // Answered in the meantime: its deadline came.
      if (!job.answered) this.#start(job);
    }
  }

  #nextSuspect(): Job | undefined {
    if (this.#soloRuns || this.#suspectsRunning >= this.#slow.limit) return undefined;
    if (this.#soloists.length === 0) return this.#suspects.shift();
    return this.#suspectsRunning === 0 ? this.#soloists.shift() : undefined;
  }

  /** Starts nothing more; returns what has not begun, which is forgotten here. */
  pause(givesBack: boolean): Job[] {
    this.#paused = true;
    this.#givesBack = givesBack;
    return this.takeWaiting();
  }

  takeWaiting(): Job[] {
    const taken = [...this.#soloists, ...this.#suspects, ...this.#waiting].filter((job) => !job.answered);
    this.#waiting = [];
    this.#suspects = [];
    this.#soloists = [];
    for (const job of taken) this.#forget(job);
    return taken;
  }

  /** Resolves when no job is left. */
  whenEmpty(): Promise<void> {
    if (this.#jobs.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  /** The grace time is over: ends what runs; returns it, for the caller to answer or give back. */
  abandon(): Job[] {
    const left = [...this.#jobs].filter((job) => !job.answered);
    for (const job of left) {
      job.abort();
      if (job.running) this.#leave(job);
      this.#forget(job);
    }
    return left;
  }

  #start(job: Job): void {
    const { requestBytes, now } = this.#options;
    job.running = true;
    this.#running++;
    if (job.suspect) this.#suspectsRunning++;
    if (job.kills > 1) this.#soloRuns = true;
    if (now() >= job.deadlineMs) return this.#end(job, expired(job));
    const { encoding, body } = job;
    if (body.byteLength > requestBytes)
      return this.#end(
        job,
        failure('request_too_large', `the body has ${body.byteLength} bytes; ${requestBytes} are allowed`),
      );
    if (encoding === undefined || isIdentity(encoding)) return this.#serve(job, body);
    decodeContent(encoding, body, requestBytes).then(
      (decoded) => ('kind' in decoded ? this.#end(job, decoded) : this.#serve(job, decoded)),
      (error: unknown) => this.#crashed(job, error),
    );
  }

  #serve(job: Job, body: Uint8Array): void {
    const { serve, headerBytes, tracer } = this.#options;
    const request = job.request(body, headerBytes, tracer);
    if ('kind' in request) return this.#end(job, request);
    try {
      serve(request).then(
        (outcome) => this.#end(job, outcome),
        (error: unknown) => this.#crashed(job, error),
      );
    } catch (error) {
      this.#crashed(job, error);
    }
  }

  #crashed(job: Job, error: unknown): void {
    this.#options.log?.error({ err: error, requestId: job.requestId }, 'serving a message threw');
    this.#end(job, failure('internal', 'the host failed on this request: its log holds the request id'));
  }

  #end(job: Job, outcome: Outcome): void {
    // Answered at its deadline, or given up by a stop: the place was freed then.
    if (!job.running) return;
    const suspects = this.#suspectsRunning;
    this.#leave(job);
    if (!job.answered) {
      if (isRunnerDeath(outcome.kind) && outcome.kind !== 'reply') this.#afterDeath(job, outcome, suspects);
      else if (outcome.kind === 'draining' && this.#givesBack) {
        job.settle('requeue');
        this.#forget(job);
      } else {
        if (job.suspect) this.#slow.survived();
        this.#finish(job, outcome, 'ack');
      }
    }
    this.pump();
  }

  #afterDeath(job: Job, outcome: Failure, suspects: number): void {
    job.kills++;
    this.#slow.died();
    const verdict = afterRunnerDeath(outcome.kind, job.kills, job.suspect && suspects === 1);
    const again = verdict === 'retry' || verdict === 'retry_alone';
    if (again && this.#options.now() < job.deadlineMs && !this.#paused) {
      job.suspect = true;
      job.rearm();
      (verdict === 'retry' ? this.#suspects : this.#soloists).push(job);
      return;
    }
    // Without a reply address a mere neighbour would vanish in silence: the dead-letter queue keeps it.
    const bury = verdict === 'bury' || job.replyTo === undefined;
    this.#finish(job, outcome, bury ? 'reject' : 'ack');
  }

  #finish(job: Job, outcome: Outcome, verdict: 'ack' | 'reject'): void {
    this.#options.responder.answer(job, outcome, verdict);
    this.#forget(job);
  }

  #leave(job: Job): void {
    job.running = false;
    this.#running--;
    if (job.suspect) this.#suspectsRunning--;
    if (job.kills > 1) this.#soloRuns = false;
  }

  #forget(job: Job): void {
    this.#jobs.delete(job);
    if (this.#jobs.size > 0 || this.#onEmpty.length === 0) return;
    const empty = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of empty) resolve();
  }

  #sweepDeadlines(): void {
    // Not at the last job's end: where one comes after the other, a timer would be made for each.
    if (this.#jobs.size === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
      return;
    }
    const nowMs = this.#options.now();
    for (const job of this.#jobs) {
      if (nowMs < job.deadlineMs) continue;
      if (!job.running) this.#finish(job, expired(job), 'ack');
      else if (nowMs < job.deadlineMs + OVERRUN_MS) job.abort();
      else this.#end(job, expired(job));
    }
  }
}

function expired(job: Job): Failure {
  const waited = job.running ? 'the handler did not end in time' : 'it waited too long for a free place';
  return failure(
    'timeout',
    `the deadline passed ${job.deadlineMs - job.receivedMs} ms after arrival: ${waited}`,
  );
}
