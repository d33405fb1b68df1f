import { failure, overCpuDetail, type Failure } from '../protocol/outcome.ts';
import type { Limits } from '../config/limits.ts';
import { RETRY_AFTER_MS, type Call } from './call.ts';
import type { Clock } from './clock.ts';
import type { Instance } from './instance.ts';
import type { GoneCause } from './runner-process.ts';

/** A process that ends within this time of an isolate's end went with it: the runner gives V8 half a second to dispose of one. */
const AFTERMATH_MS = 1500;

/** What calls are told that a runner's end cut off. */
export function lostWith(cause: GoneCause): Failure {
  if (cause === 'memory_limit')
    return failure('memory_limit', "the account's runner held more memory than process_memory_mb");
  if (cause === 'closed')
    return failure('draining', 'the host is shutting down', { retryAfterMs: RETRY_AFTER_MS });
  return failure('runner_lost', "the account's runner died", { retryAfterMs: RETRY_AFTER_MS });
}

/** The one call that can be holding its runner up: it was alone when it entered, so all others came after it. */
export function heldUpBy(instances: Iterable<Instance>): Call | undefined {
  for (const { inline, sent } of instances) {
    const [oldest] = inline ? sent.values() : [];
    if (oldest !== undefined) return oldest;
  }
  return undefined;
}

/** What the call is told, and billed for, that held its runner up until the host killed that. */
export function overCpuLimit({ cpu_ms }: Pick<Limits, 'cpu_ms'>): [why: Failure, cpuUs: number] {
  return [failure('cpu_limit', overCpuDetail(cpu_ms)), cpu_ms * 1_000];
}

/** Whose doing the end of a runner may be. */
export class Suspicion {
  readonly #clock: Clock;
  #lastEnded: { readonly instance: Instance; readonly atMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An isolate that broke a limit may take the process down a moment later. */
  isolateEnded(instance: Instance): void {
    this.#lastEnded = { instance, atMs: this.#clock.now() };
  }

  /** Of those that were there when the runner ended, and the one whose end it may have been. */
  suspects(instances: readonly Instance[]): Instance[] {
    const ended = this.#lastEnded;
    if (ended !== undefined && this.#clock.now() - ended.atMs < AFTERMATH_MS) return [ended.instance];
    return suspectsAmong(instances);
  }
}

/**
 * Those with calls under way, or on their way up or down; else all. Where some of them have not answered anything yet,
 * only these: a version that kills its runner each time never gets to answer.
 */
function suspectsAmong(instances: readonly Instance[]): Instance[] {
  const active = instances.filter(
    (each) =>
      each.state !== 'running' || [...each.sent.values()].some((call) => call.written && !call.settled),
  );
  const candidates = active.length > 0 ? active : instances;
  const silent = candidates.filter((each) => each.answers === 0);
  return silent.length > 0 ? silent : [...candidates];
}
