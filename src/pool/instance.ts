import type { Deployment } from '../config/deployment.ts';
import type { Loaded } from '../protocol/messages.ts';
import { failure, type Failure } from '../protocol/outcome.ts';
import type { Allowance } from './allowance.ts';
import type { Call } from './call.ts';

/**
 * - `starting`: a runner or its isolate is being made; calls wait
 * - `running`: calls go to the runner
 * - `draining`: takes no new calls; those in flight finish, then `onShutdown` runs
 * - `gone`: the runner has ended it
 */
export type InstanceState = 'starting' | 'running' | 'draining' | 'gone';

export const versionKey = (lambdaId: string, version: number): string => `${lambdaId}@${version}`;

/** One isolate of a lambda, as the host pictures it. */
export class Instance {
  state: InstanceState = 'starting';
  /** Its number in its runner's frames; 0 until it is sent there. */
  number = 0;
  /** Replaced where a new deployment of the same version differs in nothing that the isolate was made with. */
  deployment: Deployment;
  /** A call of it that is alone may hold its runner up. */
  inline = false;
  /** Sent to the runner and not answered, by id; among them some that have their outcome already. */
  readonly sent = new Map<number, Call>();
  /** Outward requests on their way, by the runner's id. */
  readonly bridgeCalls = new Map<number, AbortController>();
  /** What the isolate asked for outside of any invocation. */
  ownFetches = 0;
  heapBytes = 0;
  cpuMs = 0;
  requests = 0;
  /** Answers that came since the isolate runs: who has some is not the first suspect when the runner dies. */
  answers = 0;
  droppedLogs = 0;
  logBytes: Allowance | undefined;
  lastUsedMs: number;
  /** What it said of itself, or why it did not start. */
  readonly loaded: Promise<Loaded | Failure>;
  /** Resolves when it is gone. */
  readonly ended: Promise<void>;
  waiting: Call[] = [];
  #inFlight = 0;
  #resolveLoaded: (loaded: Loaded | Failure) => void = () => undefined;
  #resolveEnded: () => void = () => undefined;

  constructor(deployment: Deployment, nowMs: number) {
    this.deployment = deployment;
    this.lastUsedMs = nowMs;
    this.loaded = new Promise((resolve) => (this.#resolveLoaded = resolve));
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  get key(): string {
    return versionKey(this.deployment.lambdaId, this.deployment.version);
  }

  /** Calls without an outcome, waiting or sent. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Counts the call until it has its outcome. */
  place(call: Call): void {
    this.#inFlight += 1;
    this.requests += 1;
    call.place(this.#onSettled);
  }

  /** Takes a call back, to run elsewhere. */
  displace(call: Call): void {
    if (call.settled) return;
    this.#inFlight -= 1;
    this.requests -= 1;
    this.sent.delete(call.id);
    call.displace();
  }

  readonly #onSettled = (): void => {
    this.#inFlight -= 1;
  };

  onLoaded(loaded: Loaded): void {
    this.state = 'running';
    this.#resolveLoaded(loaded);
  }

  /** The end, whichever way. Who still waits for its start learns `why`. */
  onGone(why: Failure = failure('isolate_lost', 'the isolate is gone')): void {
    this.state = 'gone';
    for (const controller of this.bridgeCalls.values()) controller.abort();
    this.bridgeCalls.clear();
    this.#resolveLoaded(why);
    this.#resolveEnded();
  }
}
