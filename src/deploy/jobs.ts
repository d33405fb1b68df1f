import type { Problem } from '../errors/problem.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { BuildRecord } from '../store/builds.ts';

/** One version on its way to serving. A lambda has one at a time. */
export class Job {
  readonly lambdaId: string;
  readonly accountId: string;
  /** Given once the upload is durable. */
  version: number | undefined;
  state: 'waiting' | 'building' | 'starting' = 'waiting';
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

/** Jobs under way, by lambda. */
export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Error `update_conflict` while another of the lambda is under way. */
  begin(lambdaId: string, accountId: string): Job {
    const other = this.#jobs.get(lambdaId);
    if (other !== undefined)
      throw new IsolambdaError(
        'update_conflict',
        `lambda ${lambdaId} is being updated${other.version === undefined ? '' : ` to version ${other.version}`}`,
      );
    const job = new Job(lambdaId, accountId, this.#now);
    this.#jobs.set(lambdaId, job);
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
