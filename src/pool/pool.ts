import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { effectiveLimits } from '../config/limits.ts';
import { failure } from '../protocol/outcome.ts';
import type { GuestServices } from '../services/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { PoolMetrics } from '../telemetry/part-metrics.ts';
import type { AccountRunner } from './account-runner.ts';
import { Account } from './account.ts';
import { Call, type CallResult } from './call.ts';
import { chooseJail } from './choose-jail.ts';
import { systemClock, type Clock } from './clock.ts';
import { Deadlines } from './deadlines.ts';
import { buildRunnerImage, type RunnerImage } from './image.ts';
import { InlineEntries } from './inline-entries.ts';
import { versionKey, type Instance } from './instance.ts';
import { RUNNER_V8_FLAGS, type Jail, type JailKind } from './jail.ts';
import { Quarantine } from './quarantine.ts';
import type { RunnerGone } from './runner-process.ts';
import { Spares } from './spares.ts';
import type { Pool } from './types.ts';
import { Watch, type Watched } from './watch.ts';

export interface PoolParts {
  readonly config: Pick<Config, 'jail' | 'spareRunners' | 'maxRunners' | 'idleMs' | 'pollUs' | 'limits'>;
  readonly services: GuestServices;
  readonly log: Logger;
  /** By default NODE_ENV is `production`. */
  readonly production?: boolean | undefined;
  readonly clock?: Clock | undefined;
  /** Makes what runners read, in a folder that the pool owns; tests put a runner of their own there. */
  readonly buildImage?: ((dir: string, nodeFlags: readonly string[]) => Promise<RunnerImage>) | undefined;
  readonly metrics?: PoolMetrics | undefined;
  /** How long a runner may take to boot, in milliseconds. */
  readonly bootMs?: number | undefined;
}

/** A runner that lost its last isolate is kept this long, or for `idleMs` where that is less: its account may come back. */
const EMPTY_RUNNER_MS = 30_000;
const HOUSEKEEPING_MS = 1000;
/** Ends that no lambda brought about. */
const BLAMELESS: ReadonlySet<RunnerGone['cause']> = new Set(['retired', 'closed', 'boot']);

/** The runners of this host: see `Pool`. */
export function createPool(parts: PoolParts): Pool {
  return new RunnerPool(parts);
}

type PoolState = 'new' | 'running' | 'draining' | 'closed';

class RunnerPool implements Pool {
  readonly #parts: PoolParts;
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();
  /** Deleted accounts whose runner has not ended yet: nobody comes back for it. */
  readonly #deleted = new Set<string>();
  readonly #watchedRunners = new Map<Watched, { account: Account; runner: AccountRunner }>();
  readonly #deadlines: Deadlines;
  readonly #quarantine: Quarantine;
  readonly #inline = new InlineEntries();
  readonly #watch: Watch;
  /** Runners that were ended and whose processes may not be gone yet. */
  readonly #ending = new Set<Promise<void>>();
  #spares: Spares | undefined;
  #jail: Jail | undefined;
  #imageDir: string | undefined;
  #state: PoolState = 'new';
  #closing: Promise<void> | undefined;
  #stopHousekeeping: (() => void) | undefined;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#deadlines = new Deadlines(this.#clock);
    this.#quarantine = new Quarantine(this.#clock);
    this.#watch = new Watch({
      clock: this.#clock,
      log: parts.log,
      onGrown: (watched) => {
        const found = this.#watchedRunners.get(watched);
        if (!found) return;
        parts.log.info(
          { account: found.account.id, pid: found.runner.process.pid },
          'a runner has grown; it is replaced',
        );
        found.account.recycle(found.runner);
      },
    });
  }

  get jail(): { readonly kind: JailKind; readonly reason: string } {
    const { kind, reason } = this.#jail ?? { kind: 'none', reason: 'the pool has not started' };
    return { kind, reason };
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') throw new Error(`the pool is ${this.#state}`);
    this.#state = 'running';
    const { config, log, metrics, bootMs, buildImage = buildRunnerImage } = this.#parts;
    const { production = process.env.NODE_ENV === 'production' } = this.#parts;
    try {
      this.#imageDir = await mkdtemp(join(tmpdir(), 'isolambda-runner-'));
      const image = await buildImage(this.#imageDir, RUNNER_V8_FLAGS);
      this.#jail = await chooseJail({ image }, { mode: config.jail, production });
    } catch (error) {
      await this.close(0);
      throw error;
    }
    log[this.#jail.kind === 'none' ? 'warn' : 'info'](
      { jail: this.#jail.kind, reason: this.#jail.reason },
      'runners',
    );
    this.#spares = new Spares({
      jail: this.#jail,
      clock: this.#clock,
      log,
      wanted: config.spareRunners,
      hasRoom: () => this.#processes() < config.maxRunners,
      makeRoom: () => this.#makeRoom(),
      pollUs: config.pollUs,
      aheadMb: effectiveLimits(config.limits, {}).memory_mb,
      bootMs,
      metrics,
    });
    this.#spares.refill();
    this.#housekeep();
  }

  #processes(): number {
    return this.#watchedRunners.size + (this.#spares?.size ?? 0);
  }

  /** Takes the runner of the account that has not used its own for longest. */
  #makeRoom(): boolean {
    const byAge = [...this.#accounts.values()].sort((one, other) => one.lastUsedMs - other.lastUsedMs);
    return byAge.some((account) => account.release());
  }

  invoke(...[deployment, invocation]: Parameters<Pool['invoke']>): Promise<CallResult> {
    const refusal = this.#refusal(deployment.lambdaId, deployment.version);
    if (refusal) return Promise.resolve({ outcome: refusal, usage: NOTHING_USED });
    if (invocation.signal?.aborted)
      return Promise.resolve({ outcome: failure('canceled', 'the caller went away'), usage: NOTHING_USED });
    if (invocation.head.deadlineMs <= this.#clock.now())
      return Promise.resolve({
        outcome: failure('timeout', 'the deadline had passed already'),
        usage: NOTHING_USED,
      });
    return new Promise((resolve) => {
      this.#accountFor(deployment.accountId).submit(
        new Call(deployment, invocation, this.#deadlines, resolve),
      );
    });
  }

  async prepare(...[deployment]: Parameters<Pool['prepare']>): ReturnType<Pool['prepare']> {
    for (let attempt = 1; ; attempt++) {
      const refusal = this.#refusal(deployment.lambdaId, deployment.version);
      if (refusal) return refusal;
      const loaded = await this.#accountFor(deployment.accountId).prepare(deployment);
      // Another lambda of the account may have taken the runner down.
      if (!('kind' in loaded) || loaded.kind !== 'runner_lost' || attempt === PREPARE_ATTEMPTS) return loaded;
    }
  }

  #refusal(lambdaId: string, version: number): ReturnType<typeof failure> | undefined {
    if (this.#state === 'draining' || this.#state === 'closed')
      return failure('draining', 'the host is shutting down', { retryAfterMs: 1000 });
    if (this.#state === 'new' || !this.#spares)
      return failure('not_ready', 'the host is starting', { retryAfterMs: 1000 });
    const remainingMs = this.#quarantine.remainingMs(versionKey(lambdaId, version));
    if (remainingMs > 0)
      return failure('quarantined', 'this version killed its runner again and again', {
        retryAfterMs: remainingMs,
      });
    return undefined;
  }

  #accountFor(accountId: string): Account {
    let account = this.#accounts.get(accountId);
    if (account) return account;
    const { services, log, metrics } = this.#parts;
    account = new Account({
      accountId,
      spares: this.#spares!,
      services,
      clock: this.#clock,
      log,
      metrics,
      inline: this.#inline,
      onRunner: (runner) => {
        this.#watchedRunners.set(runner.watched, { account: this.#accounts.get(accountId)!, runner });
        this.#watch.add(runner.watched);
      },
      onRunnerGone: (runner, gone, suspects) => this.#onRunnerGone(accountId, runner, gone, suspects),
    });
    this.#accounts.set(accountId, account);
    return account;
  }

  #onRunnerGone(
    accountId: string,
    runner: AccountRunner,
    gone: RunnerGone,
    suspects: readonly Instance[],
  ): void {
    this.#watch.remove(runner.watched);
    this.#watchedRunners.delete(runner.watched);
    const ending = runner.process.exited;
    this.#ending.add(ending);
    void ending.then(() => this.#ending.delete(ending));
    this.#spares?.refill();
    this.#parts.metrics?.runnerEnded(gone.cause);
    if (BLAMELESS.has(gone.cause)) return;
    const { log } = this.#parts;
    log.warn({ account: accountId, pid: runner.process.pid, ...gone }, 'a runner died');
    if (gone.cause === 'cpu_limit') {
      // No worse than an isolate that was ended for it: the version goes on in another, which can't hold anything up.
      for (const { key } of suspects) this.#inline.forbid(key);
      return;
    }
    for (const key of new Set(suspects.map((each) => each.key)))
      if (this.#quarantine.kill(key))
        log.warn(
          { account: accountId, version: key, forMs: this.#quarantine.remainingMs(key) },
          'quarantined',
        );
  }

  async retire(...[lambdaId, version, reason]: Parameters<Pool['retire']>): Promise<void> {
    this.#inline.forget(versionKey(lambdaId, version));
    await Promise.all(
      [...this.#accounts.values()].map((account) => account.retire(lambdaId, version, reason)),
    );
  }

  accountDeleted(accountId: string): void {
    if (this.#accounts.has(accountId)) this.#deleted.add(accountId);
  }

  configure(lambdaId: string, userConfig: unknown): void {
    for (const account of this.#accounts.values()) account.configure(lambdaId, userConfig);
  }

  instances(lambdaId: string): ReturnType<Pool['instances']> {
    return [...this.#accounts.values()].flatMap((account) =>
      [...account.instances(lambdaId)].map((each) => ({
        state: each.state === 'running' || each.state === 'draining' ? each.state : ('starting' as const),
        heapBytes: each.heapBytes,
        cpuMs: each.cpuMs,
        requests: each.requests,
        inFlight: each.inFlight,
        runnerPid: account.runnerOf(each)?.process.pid ?? 0,
      })),
    );
  }

  runners(): ReturnType<Pool['runners']> {
    const resident = (runner: AccountRunner['process']): number => runner.gauge?.read()?.residentBytes ?? 0;
    return [
      ...[...this.#watchedRunners.values()].map(({ account, runner }) => ({
        pid: runner.process.pid,
        accountId: account.id,
        isolates: runner.isolates,
        residentBytes: resident(runner.process),
      })),
      ...(this.#spares?.ready ?? []).map((spare) => ({
        pid: spare.pid,
        isolates: 0,
        residentBytes: resident(spare),
      })),
    ];
  }

  /** Eviction, the ends of empty runners, and forgotten accounts; more often where isolates go idle within seconds. */
  #housekeep(): void {
    const { idleMs, maxRunners } = this.#parts.config;
    const everyMs = Math.min(HOUSEKEEPING_MS, Math.ceil(idleMs / 4));
    this.#stopHousekeeping = this.#clock.after(everyMs, () => {
      const now = this.#clock.now();
      // At the limit, what has no isolates makes room at once.
      const full = this.#processes() >= maxRunners;
      for (const id of this.#deleted) if (!this.#accounts.has(id)) this.#deleted.delete(id);
      for (const [id, account] of this.#accounts) {
        const atOnce = full || this.#deleted.has(id);
        account.evictIdle(now - idleMs, atOnce ? now : now - Math.min(idleMs, EMPTY_RUNNER_MS));
        if (account.isEmpty) this.#accounts.delete(id);
      }
      this.#quarantine.sweep();
      this.#housekeep();
    });
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    this.#state = 'draining';
    const untilMs = this.#clock.now() + graceMs;
    const left = (): number => Math.max(0, untilMs - this.#clock.now());
    const accounts = [...this.#accounts.values()];
    // In-flight work first, then `onShutdown`, each within what is left of the grace time.
    await this.#within(left(), Promise.all(accounts.map((account) => account.unloadAll(left()))));
    this.#stopHousekeeping?.();
    for (const account of accounts) account.kill();
    this.#state = 'closed';
    await this.#spares?.close();
    await Promise.all(this.#ending);
    this.#watch.close();
    this.#deadlines.close();
    if (this.#imageDir !== undefined) await rm(this.#imageDir, { recursive: true, force: true });
  }

  async #within(ms: number, done: Promise<unknown>): Promise<void> {
    let callOff: (() => void) | undefined;
    await Promise.race([done, new Promise<void>((resolve) => (callOff = this.#clock.after(ms, resolve)))]);
    callOff?.();
  }
}

const NOTHING_USED = { cpuUs: 0 };
const PREPARE_ATTEMPTS = 2;
