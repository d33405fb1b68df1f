import type { LambdaEntry, Registry } from '../registry/types.ts';
import type { SubtaskClaim } from '../store/task-claim-types.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Executor } from './executor.ts';

/** Splits of an account at once: they make work, and must not take all the places from it. */
const MAX_SPLITS = 2;
const LAMBDAS_AT_MOST = 10_000;

export interface SchedulerOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly executor: Executor;
  readonly worker: string;
  /** Splits and subtasks of all accounts in flight on this host. */
  readonly places: number;
  /** False where subtasks come from a broker: then only splits are claimed here. */
  readonly claimsSubtasks: boolean;
  /** How often accounts are looked for that have work which nobody told this host of. */
  readonly pollMs: number;
  readonly now: () => number;
  readonly log: Pick<Logger, 'error'>;
}

/** Whether the lambda can't run now, but may later: it is switched off, or has not started yet. */
export const rests = ({ alive, active, state }: LambdaEntry): boolean =>
  !alive || (active === undefined && state !== 'failed');

/** Claims as much as there are places for, account by account. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  /** Accounts that may have something to claim, in the order of their turns. */
  readonly #accounts = new Set<string>();
  readonly #alarms = new Map<string, { readonly at: number; readonly timer: NodeJS.Timeout }>();
  #pumping: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#poll = setInterval(() => void this.#look(), this.#options.pollMs);
    this.#poll.unref();
    void this.#look();
  }

  /** Claims nothing more once it resolves. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#poll);
    for (const { timer } of this.#alarms.values()) clearTimeout(timer);
    await this.#pumping;
  }

  /** The account has, or may have, something to claim. */
  wake(accountId: string): void {
    if (this.#stopped) return;
    this.#accounts.add(accountId);
    this.#again = true;
    this.#pumping ??= this.#pump();
  }

  wakeAt(accountId: string, at: number): void {
    const known = this.#alarms.get(accountId);
    if (this.#stopped || (known !== undefined && known.at <= at)) return;
    clearTimeout(known?.timer);
    const timer = setTimeout(
      () => {
        this.#alarms.delete(accountId);
        this.wake(accountId);
      },
      Math.max(0, at - this.#options.now()),
    );
    timer.unref();
    this.#alarms.set(accountId, { at, timer });
  }

  async #look(): Promise<void> {
    const { store, executor, log } = this.#options;
    try {
      const asked = executor.runningTasks();
      if (asked.size > 0) executor.heed(asked, await store.taskClaims.states([...asked]));
      for (const accountId of await store.taskClaims.accountsWithWork()) this.wake(accountId);
    } catch (error) {
      log.error({ err: error }, 'the store could not be asked for tasks');
    }
  }

  async #pump(): Promise<void> {
    // Places that become free in one turn are filled by one claim.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#again && !this.#stopped) {
      this.#again = false;
      for (const accountId of [...this.#accounts]) {
        if (this.#stopped) break;
        try {
          await this.#claim(accountId);
        } catch (error) {
          this.#options.log.error({ err: error, account_id: accountId }, 'tasks could not be claimed');
          this.#accounts.delete(accountId);
        }
      }
    }
    this.#pumping = undefined;
  }

  async #claim(accountId: string): Promise<void> {
    const { store, registry, executor, worker, places, claimsSubtasks, now } = this.#options;
    const free = (): number =>
      Math.min(
        registry.limits(accountId).task_parallelism - executor.runningOf(accountId),
        places - executor.running,
      );
    // It gets its next turn when a place becomes free, at the end of the line.
    this.#accounts.delete(accountId);
    if (free() <= 0) {
      this.#accounts.add(accountId);
      return;
    }
    const exceptLambdas = this.#resting(accountId);
    const claiming = { worker, accountId, now: now(), exceptLambdas };
    const splits = Math.min(MAX_SPLITS - executor.splitsOf(accountId), free());
    let claimed = 0;
    if (splits > 0) {
      const found = await store.taskClaims.claimSplits({ ...claiming, limit: splits });
      claimed += found.length;
      for (const claim of found) void executor.split(claim);
    }
    const subtasks = free();
    if (claimsSubtasks && subtasks > 0) {
      const found: SubtaskClaim[] = await store.taskClaims.claimSubtasks({ ...claiming, limit: subtasks });
      claimed += found.length;
      for (const claim of found) void executor.execute(claim);
    }
    if (claimed > 0) this.#accounts.add(accountId);
  }

  /** Lambdas of the account that can't run now: their tasks wait. */
  #resting(accountId: string): string[] {
    return this.#options.registry
      .lambdas({ accountId, type: 'tasks', page: 1, pageSize: LAMBDAS_AT_MOST })
      .items.filter(rests)
      .map(({ id }) => id);
  }
}
