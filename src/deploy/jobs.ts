import { randomUUID } from 'node:crypto';
import type { Problem } from '../errors/problem.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { BuildRecord } from '../store/builds.ts';
import type { ClaimsRepository } from '../store/claims.ts';
import type { Repositories } from '../store/store.ts';

/** One version on its way to serving. A lambda has one at a time. */
export class Job {
  readonly lambdaId: string;
  readonly accountId: string;
  /** Given once the upload is durable. */
  version: number | undefined;
  state: 'waiting' | 'building' | 'starting' = 'waiting';
  /** Of the lambda, before the other hosts on the same store. */
  readonly claim = randomUUID();
  /** Settles when the job has ended, however it did; never rejects. */
  done: Promise<void> = Promise.resolve();
  readonly #abort = new AbortController();
  readonly #now: () => number;
  readonly #log: { time: number; message: string }[] = [];
  #problems: readonly Problem[] = [];
  readonly #startedAt: number;

  constructor(lambdaId: string, accountId: string, now: () => number) {
    this.lambdaId = lambdaId;
    this.accountId = accountId;
    this.#now = now;
    this.#startedAt = now();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The host closes, or the lambda was deleted. */
  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  /** Throws where another host took the job over, because this one was silent for so long: it has what was stored. */
  async stillOurs(tx: Pick<Repositories, 'claims'>): Promise<void> {
    if (!(await tx.claims.held(this.claim)))
      throw new IsolambdaError('draining', `another host has taken over lambda ${this.lambdaId}`);
  }

  /** A line of the build log. */
  note(message: string): void {
    this.#log.push({ time: this.#now(), message });
  }

  found(problems: readonly Problem[]): void {
    this.#problems = [...this.#problems, ...problems];
  }

  /** What is told of it so far, or to the end. */
  record(ended: boolean): BuildRecord {
    return {
      startedAt: this.#startedAt,
      endedAt: ended ? this.#now() : null,
      log: [...this.#log],
      problems: this.#problems,
    };
  }
}

export interface JobsParts {
  readonly now: () => number;
  readonly claims: ClaimsRepository;
  readonly catchUp: () => Promise<void>;
}

/** Jobs under way, by lambda. */
export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #parts: JobsParts;

  constructor(parts: JobsParts) {
    this.#parts = parts;
  }

  /** Error `update_conflict` while another of the lambda is under way, here or on another host. */
  async begin(lambdaId: string, accountId: string): Promise<Job> {
    const { now, claims, catchUp } = this.#parts;
    const other = this.#jobs.get(lambdaId);
    const conflict = (where: string): never => {
      throw new IsolambdaError('update_conflict', `lambda ${lambdaId} is being updated${where}`);
    };
    if (other !== undefined) conflict(other.version === undefined ? '' : ` to version ${other.version}`);
    const job = new Job(lambdaId, accountId, now);
    this.#jobs.set(lambdaId, job);
    try {
      if (!(await claims.take(lambdaId, job.claim))) conflict(' by another host');
      // What the host that had it before did of it is known from here on.
      await catchUp();
    } catch (error) {
      this.end(job);
      throw error;
    }
    return job;
  }

  get(lambdaId: string): Job | undefined {
    return this.#jobs.get(lambdaId);
  }

  all(): Job[] {
    return [...this.#jobs.values()];
  }

  end(job: Job): void {
    if (this.#jobs.get(job.lambdaId) === job) this.#jobs.delete(job.lambdaId);
    // Where it fails, this host's next job of the lambda takes it, or another's once this host is gone.
    this.#parts.claims.drop(job.claim).catch(() => undefined);
  }
}

/** Resolves as `promise` does, or rejects with the signal's reason, whichever comes first. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
