import type { Deployment } from '../config/deployment.ts';
import type { CallerSignal } from '../protocol/caller-signal.ts';
import { failure, type Failure } from '../protocol/outcome.ts';
import { Gate } from './gate.ts';
import { createShares, type Shares } from './shares.ts';
import { WaitQueue, type Waiter } from './wait-queue.ts';

/** A place in flight. `release` gives it back, once; call it in `finally`. */
export interface Permit {
  release(): void;
}

export interface AdmissionUsage {
  readonly inFlight: number;
  readonly queued: number;
}

/** Decides, in memory and at once, whether an invocation may run now, must wait, or is refused. */
export interface Admission {
  /**
   * A permit where there is room, a failure where a limit forbids it, a promise of either where it must wait:
   * until a place is free, its deadline passes (`queue_timeout`) or its caller goes away (`canceled`).
   */
  admit(
    deployment: Deployment,
    deadlineMs: number,
    signal?: CallerSignal,
  ): Permit | Failure | Promise<Permit | Failure>;
  usage(accountId: string): AdmissionUsage;
  /** Of all accounts. */
  total(): AdmissionUsage;
  /** Accounts and lambdas that are remembered: those that called in the last minutes, or have something in flight. */
  readonly known: number;
  /** For limits that hold over several hosts: what to tell the others, and what they told. Never called, this host has all. */
  readonly shares: Pick<Shares, 'hear'> & { say(): string };
}

export interface AdmissionOptions {
  /** Milliseconds; monotonic is not needed, epoch is (deadlines are compared with it). */
  readonly now: () => number;
}

interface Account extends Gate {
  readonly queue: WaitQueue;
}

const SWEEP_EVERY_MS = 60_000;

export function createAdmission({ now }: AdmissionOptions): Admission {
  const accounts = new Map<string, Account>();
  const lambdas = new Map<string, Gate>();
  const shares = createShares(function* gates() {
    yield* accounts;
    yield* lambdas;
  });
  let sweepAtMs = 0;

  const accountOf = (deployment: Deployment, nowMs: number): Account => {
    const known = accounts.get(deployment.accountId);
    if (known) return known;
    const { account_rate_per_s, account_concurrency } = deployment.limits;
    const gate = new Gate(account_rate_per_s, account_concurrency, nowMs);
    shares.begin(deployment.accountId, gate);
    const made = Object.assign(gate, { queue: new WaitQueue() });
    accounts.set(deployment.accountId, made);
    return made;
  };
  const lambdaOf = (deployment: Deployment, nowMs: number): Gate => {
    const known = lambdas.get(deployment.lambdaId);
    if (known) return known;
    const { rate_per_s, concurrency } = deployment.limits;
    const made = new Gate(rate_per_s, concurrency, nowMs);
    shares.begin(deployment.lambdaId, made);
    lambdas.set(deployment.lambdaId, made);
    return made;
  };

  function admit(
    deployment: Deployment,
    deadlineMs: number,
    signal?: CallerSignal,
  ): Permit | Failure | Promise<Permit | Failure> {
    const nowMs = now();
    if (nowMs >= sweepAtMs) sweep(nowMs);
    const account = accountOf(deployment, nowMs);
    const lambda = lambdaOf(deployment, nowMs);
    allow(deployment, account, lambda);
    const refused = rateRefusal(deployment, account, lambda, nowMs);
    if (refused) return refused;
    if (account.hasRoom && lambda.hasRoom) return enter(account, lambda);
    return wait(deployment, account, lambda, deadlineMs, signal);
  }

  /** Where a quota was raised, those that wait come before whoever asks now. */
  function allow({ limits }: Deployment, account: Account, lambda: Gate): void {
    const raised =
      account.placesLimit < limits.account_concurrency || lambda.placesLimit < limits.concurrency;
    account.ask(limits.account_rate_per_s, limits.account_concurrency);
    lambda.ask(limits.rate_per_s, limits.concurrency);
    if (raised) account.queue.drain(() => account.hasRoom);
  }

  function enter(account: Account, lambda: Gate): Permit {
    account.inFlight += 1;
    lambda.inFlight += 1;
    let held = true;
    return {
      release() {
        if (!held) return;
        held = false;
        account.inFlight -= 1;
        lambda.inFlight -= 1;
        account.queue.drain(() => account.hasRoom);
      },
    };
  }

  function wait(
    deployment: Deployment,
    account: Account,
    lambda: Gate,
    deadlineMs: number,
    signal: CallerSignal | undefined,
  ): Failure | Promise<Permit | Failure> {
    const { queue, concurrency, account_concurrency } = deployment.limits;
    if (queue === 0) {
      return failure(
        'concurrency_limit',
        `${concurrency} of this lambda or ${account_concurrency} of the account are in flight`,
        { retryAfterMs: RETRY_SOON_MS },
      );
    }
    if (account.queue.length >= queue) {
      return failure('queue_full', `${queue} invocations of the account are waiting`, {
        retryAfterMs: RETRY_SOON_MS,
      });
    }
    if (signal?.aborted) return failure('canceled', 'the client went away before the request ran');
    return new Promise((resolve) => {
      const settle = (result: Permit | Failure): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        account.queue.remove(waiter);
        account.waiting -= 1;
        lambda.waiting -= 1;
        resolve(result);
      };
      const waiter: Waiter = {
        lambdaId: deployment.lambdaId,
        enter: () => {
          if (!account.hasRoom || !lambda.hasRoom) return false;
          settle(enter(account, lambda));
          return true;
        },
      };
      const onAbort = (): void =>
        settle(failure('canceled', 'the client went away while the request waited'));
      const timer = setTimeout(
        () => settle(failure('queue_timeout', 'no place was free before the deadline')),
        Math.max(0, deadlineMs - now()),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      account.queue.add(waiter);
      account.waiting += 1;
      lambda.waiting += 1;
    });
  }

  /** Forgets accounts and lambdas that rest: memory follows what is active, not what ever was. */
  function sweep(nowMs: number): void {
    sweepAtMs = nowMs + SWEEP_EVERY_MS;
    for (const [id, account] of accounts)
      if (account.inFlight === 0 && account.queue.length === 0 && account.bucket.rests(nowMs))
        accounts.delete(id);
    for (const [id, lambda] of lambdas)
      if (lambda.inFlight === 0 && lambda.bucket.rests(nowMs)) lambdas.delete(id);
  }

  return {
    admit,
    usage: (accountId) => {
      const account = accounts.get(accountId);
      return { inFlight: account?.inFlight ?? 0, queued: account?.queue.length ?? 0 };
    },
    shares: {
      say: () => shares.say(now()),
      hear(said) {
        shares.hear(said);
        // Places may have come free on other hosts.
        for (const account of accounts.values()) account.queue.drain(() => account.hasRoom);
      },
    },
    get known() {
      return accounts.size + lambdas.size;
    },
    total: () => {
      let [inFlight, queued] = [0, 0];
      for (const account of accounts.values()) {
        inFlight += account.inFlight;
        queued += account.queue.length;
      }
      return { inFlight, queued };
    },
  };
}

const RETRY_SOON_MS = 1_000;

function rateRefusal(
  { limits }: Deployment,
  account: Gate,
  lambda: Gate,
  nowMs: number,
): Failure | undefined {
  const lambdaWaitMs = lambda.bucket.take(lambda.rate, nowMs);
  if (lambdaWaitMs > 0)
    return failure('rate_limited', `this lambda may be invoked ${limits.rate_per_s} times per second`, {
      retryAfterMs: lambdaWaitMs,
    });
  const accountWaitMs = account.bucket.take(account.rate, nowMs);
  if (accountWaitMs === 0) return undefined;
  lambda.bucket.restore();
  return failure('rate_limited', `the account may invoke ${limits.account_rate_per_s} times per second`, {
    retryAfterMs: accountWaitMs,
  });
}
