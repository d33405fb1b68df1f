import { setTimeout as delay } from 'node:timers/promises';
import type { Deployment } from '../config/deployment.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { Pool } from '../pool/types.ts';
import type { Loaded } from '../protocol/messages.ts';
import type { Failure, FailureKind } from '../protocol/outcome.ts';
import { FairQueue } from './fair-queue.ts';
import { orAborted } from './jobs.ts';

/** Starts at once: after a restart hundreds may wait, and each takes CPU of its account's runner. */
const STARTS_AT_ONCE = 8;
/** Waits between attempts. */
const BACKOFF_MS = [100, 500];
/** What another lambda, or the load of the moment, may have caused. */
const TRANSIENT: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'runner_lost',
  'isolate_lost',
  'queue_full',
  'queue_timeout',
  'concurrency_limit',
  'rate_limited',
]);

export type Start = (deployment: Deployment, signal: AbortSignal) => Promise<Loaded | Failure>;

/** Loads a deployment into an isolate and runs `onStart`, before any request may reach it. Error `draining` where the host closes. */
export function createStart(pool: Pick<Pool, 'prepare' | 'retire'>): Start {
  const queue = new FairQueue(STARTS_AT_ONCE);

  async function attempt(deployment: Deployment, signal: AbortSignal): Promise<Loaded | Failure> {
    const prepared = pool.prepare(deployment);
    try {
      return await orAborted(prepared, signal);
    } catch (error) {
      // Nobody waits for it any more: what it started must not stay.
      void prepared.then(
        () => pool.retire(deployment.lambdaId, deployment.version, 'delete'),
        () => undefined,
      );
      throw error;
    }
  }

  async function start(deployment: Deployment, signal: AbortSignal): Promise<Loaded | Failure> {
    for (const waitMs of BACKOFF_MS) {
      const outcome = await attempt(deployment, signal);
      if (!('kind' in outcome) || !TRANSIENT.has(outcome.kind)) return outcome;
      await delay(outcome.retryAfterMs ?? waitMs, undefined, { signal });
    }
    return attempt(deployment, signal);
  }

  return async (deployment, signal) => {
    const outcome = await queue.run(deployment.accountId, () => start(deployment, signal), signal).done;
    if ('kind' in outcome && outcome.kind === 'draining')
      throw new IsolambdaError('draining', outcome.detail);
    return outcome;
  };
}
