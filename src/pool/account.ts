import type { Deployment } from '../config/deployment.ts';
import type { Loaded } from '../protocol/messages.ts';
import { failure, type Failure } from '../protocol/outcome.ts';
import type { GuestServices } from '../services/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { PoolMetrics } from '../telemetry/part-metrics.ts';
import { AccountRunner } from './account-runner.ts';
import { RETRY_AFTER_MS, type Call } from './call.ts';
import type { Clock } from './clock.ts';
import type { InlineEntries } from './inline-entries.ts';
import { sameMake } from './same-make.ts';
import { Instance, versionKey } from './instance.ts';
import type { RunnerGone } from './runner-process.ts';
import { NoRunnerError, type Spares } from './spares.ts';
import type { RetireReason } from './types.ts';

export interface AccountParts {
  readonly accountId: string;
  readonly spares: Spares;
  readonly services: GuestServices;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: PoolMetrics | undefined;
  readonly inline: InlineEntries;
  readonly onRunner: (runner: AccountRunner) => void;
  readonly onRunnerGone: (runner: AccountRunner, gone: RunnerGone, suspects: readonly Instance[]) => void;
}

/** The isolates of one version that take calls. */
interface Group {
  /** The newest deployment; older ones that say the same version are served by it too. */
  deployment: Deployment;
  readonly superseded: WeakSet<Deployment>;
  instances: Instance[];
}

/** One account: the runner that serves it, those that drain, and its lambdas' isolates. */
export class Account {
  readonly #parts: AccountParts;
  readonly #groups = new Map<string, Group>();
  /** All runners that are not gone, the serving one among them. */
  readonly #runners = new Set<AccountRunner>();
  readonly #runnerOf = new WeakMap<Instance, AccountRunner>();
  #serving: AccountRunner | undefined;
  #acquiring: Promise<AccountRunner> | undefined;
  /** When its runner was last of use, in epoch milliseconds. */
  lastUsedMs: number;

  constructor(parts: AccountParts) {
    this.#parts = parts;
    this.lastUsedMs = parts.clock.now();
  }

  get id(): string {
    return this.#parts.accountId;
  }

  get runners(): ReadonlySet<AccountRunner> {
    return this.#runners;
  }

  /** Nothing runs, starts or waits. */
  get isEmpty(): boolean {
    return this.#runners.size === 0 && this.#acquiring === undefined && this.#groups.size === 0;
  }

  get inFlight(): number {
    let count = 0;
    for (const group of this.#groups.values()) for (const each of group.instances) count += each.inFlight;
    for (const runner of this.#runners)
      for (const each of runner.instances) if (each.state !== 'running') count += each.inFlight;
    return count;
  }

  /** Isolates that take calls, or will. */
  *instances(lambdaId?: string): Generator<Instance> {
    for (const group of this.#groups.values())
      if (lambdaId === undefined || group.deployment.lambdaId === lambdaId) yield* group.instances;
    for (const runner of this.#runners)
      for (const each of runner.instances)
        if (each.state === 'draining' && (lambdaId === undefined || each.deployment.lambdaId === lambdaId))
          yield each;
  }

  runnerOf(instance: Instance): AccountRunner | undefined {
    return this.#runnerOf.get(instance);
  }

  /** Gives the call to the least busy isolate of its version, starting one where there is none, or where more may run side by side. */
  submit(call: Call): void {
    this.lastUsedMs = this.#parts.clock.now();
    const group = this.#groupFor(call.deployment);
    let least: Instance | undefined;
    for (const each of group.instances) if (!least || load(each) < load(least)) least = each;
    if (!least) least = this.#start(group);
    else if (least.inFlight > 0 && group.instances.length < group.deployment.instances) this.#start(group);
    least.place(call);
    const runner = least.state === 'running' ? this.#runnerOf.get(least) : undefined;
    if (runner) runner.invoke(least, call);
    else {
      call.invocation.trace?.waitsForIsolate();
      least.waiting.push(call);
    }
  }

  /** Loads one isolate, as a first call would. */
  prepare(deployment: Deployment): Promise<Loaded | Failure> {
    const group = this.#groupFor(deployment);
    return (group.instances[0] ?? this.#start(group)).loaded;
  }

  #groupFor(deployment: Deployment): Group {
    const key = versionKey(deployment.lambdaId, deployment.version);
    const group = this.#groups.get(key);
    if (!group) {
      const fresh = { deployment, superseded: new WeakSet<Deployment>(), instances: [] };
      this.#groups.set(key, fresh);
      return fresh;
    }
    if (group.deployment === deployment || group.superseded.has(deployment)) return group;
    const same = sameMake(group.deployment, deployment);
    group.superseded.add(group.deployment);
    group.deployment = deployment;
    if (same) for (const each of group.instances) each.deployment = deployment;
    else {
      // Another quota, environment or service: isolates keep what they were made with, so they make way for new ones.
      for (const each of [...group.instances]) void this.#unload(each, 'update');
      // Emptied, it was dropped.
      this.#groups.set(key, group);
    }
    return group;
  }

  #start(group: Group): Instance {
    const { clock, metrics } = this.#parts;
    const startedMs = clock.now();
    const instance = new Instance(group.deployment, startedMs);
    group.instances.push(instance);
    if (metrics)
      void instance.loaded.then((loaded) => metrics.coldStart(!('kind' in loaded), clock.now() - startedMs));
    void this.#bring(instance);
    return instance;
  }

  async #bring(instance: Instance): Promise<void> {
    try {
      const [bundle, runner] = await Promise.all([
        instance.deployment.loadBundle(),
        this.#runner(instance.deployment),
      ]);
      if (instance.state !== 'starting') return;
      // It may have died while the bundle was read.
      const alive = runner.process.state === 'serving' ? runner : await this.#runner(instance.deployment);
      if (instance.state !== 'starting') return;
      this.#runnerOf.set(instance, alive);
      alive.load(instance, bundle);
    } catch (error) {
      this.#failStart(instance, error);
    }
  }

  #failStart(instance: Instance, error: unknown): void {
    let why: Failure;
    if (error instanceof NoRunnerError) {
      why = failure(error.kind, error.message, { retryAfterMs: error.retryAfterMs });
    } else {
      this.#parts.log.error({ err: error, isolate: instance.key }, 'an isolate could not be started');
      why = failure('internal', 'the isolate could not be started');
    }
    this.#forget(instance);
    if (instance.state === 'gone') return;
    instance.onGone(why);
    for (const call of instance.waiting.splice(0)) call.settle(why);
  }

  /** The serving runner; the first call takes a spare. */
  #runner(deployment: Deployment): Promise<AccountRunner> {
    if (this.#serving?.process.state === 'serving') return Promise.resolve(this.#serving);
    this.#acquiring ??= this.#acquire(deployment).finally(() => (this.#acquiring = undefined));
    return this.#acquiring;
  }

  async #acquire(deployment: Deployment): Promise<AccountRunner> {
    const { spares, services, clock, log, metrics, inline } = this.#parts;
    let process = await spares.take();
    // It may die between its boot and this turn.
    while (process.state !== 'spare') process = await spares.take();
    const runner = new AccountRunner(process, deployment, {
      services,
      clock,
      log,
      metrics,
      inline,
      resubmit: (calls) => this.#resubmit(calls),
      onInstanceGone: (instance) => this.#forget(instance),
      onGone: (gone, why, suspects) => this.#onRunnerGone(gone, why, suspects),
    });
    this.#serving = runner;
    this.#runners.add(runner);
    this.#parts.onRunner(runner);
    return runner;
  }

  #forget(instance: Instance): void {
    const group = this.#groups.get(instance.key);
    if (!group) return;
    const at = group.instances.indexOf(instance);
    if (at >= 0) group.instances.splice(at, 1);
    if (group.instances.length === 0) this.#groups.delete(instance.key);
  }

  #resubmit(calls: readonly Call[]): void {
    for (const call of calls) {
      if (call.settled) continue;
      if (call.resubmitted)
        call.fail('runner_lost', 'two isolates in a row ended before the lambda got the request', {
          retryAfterMs: RETRY_AFTER_MS,
        });
      else {
        call.resubmitted = true;
        this.submit(call);
      }
    }
  }

  #onRunnerGone(runner: AccountRunner, gone: RunnerGone, suspects: readonly Instance[]): void {
    this.#runners.delete(runner);
    if (this.#serving === runner) this.#serving = undefined;
    this.#parts.onRunnerGone(runner, gone, suspects);
  }

  configure(lambdaId: string, userConfig: unknown): void {
    for (const instance of this.instances(lambdaId)) {
      const runner = this.#runnerOf.get(instance);
      if (runner) runner.configure(instance, userConfig);
      // Not sent yet: it starts with the new one.
      else instance.deployment = { ...instance.deployment, userConfig };
    }
  }

  async retire(lambdaId: string, version: number, reason: RetireReason): Promise<void> {
    const key = versionKey(lambdaId, version);
    const instances = [...this.instances(lambdaId)].filter((each) => each.key === key);
    await Promise.all(instances.map((each) => this.#unload(each, reason)));
  }

  /** Takes no new calls from now on; resolves when it is gone. One that is still starting first serves those that wait for it. */
  #unload(
    instance: Instance,
    reason: RetireReason,
    graceMs = instance.deployment.limits.timeout_ms,
  ): Promise<void> {
    this.#forget(instance);
    if (instance.state !== 'starting')
      return this.#runnerOf.get(instance)?.unload(instance, reason, graceMs) ?? instance.ended;
    void instance.loaded.then(() => this.#runnerOf.get(instance)?.unload(instance, reason, graceMs));
    return instance.ended;
  }

  /** Ends isolates that nobody called since `beforeMs`, and runners that have had none for as long. */
  evictIdle(beforeMs: number, runnerBeforeMs: number): void {
    const now = this.#parts.clock.now();
    for (const group of [...this.#groups.values()])
      for (const each of [...group.instances]) {
        if (each.inFlight === 0 && each.state === 'running' && each.lastUsedMs <= beforeMs)
          void this.#unload(each, 'idle', 0);
      }
    for (const runner of [...this.#runners]) {
      if (runner.isolates > 0) this.lastUsedMs = now;
      else if (runner === this.#serving && this.#groups.size === 0 && this.lastUsedMs <= runnerBeforeMs)
        runner.process.kill('retired', 'its account had no isolates for a while');
    }
  }

  /** The next call gets a fresh runner; this one finishes what it has, and ends. */
  recycle(runner: AccountRunner): void {
    if (runner !== this.#serving) return;
    runner.process.cordon();
    this.#serving = undefined;
    const unloads = [...runner.instances].map((each) => this.#unload(each, 'idle'));
    void Promise.all(unloads).then(() => runner.process.kill('retired', 'it has drained'));
  }

  /** Gives its runner back where nothing is under way in it. */
  release(): boolean {
    if (!this.#serving || this.#acquiring || this.inFlight > 0) return false;
    this.recycle(this.#serving);
    return true;
  }

  /** Runs `onShutdown` everywhere; resolves when all isolates are gone. */
  async unloadAll(graceMs: number): Promise<void> {
    await Promise.all([...this.instances()].map((each) => this.#unload(each, 'shutdown', graceMs)));
  }

  kill(): void {
    for (const runner of [...this.#runners]) runner.process.kill('closed', 'the host is shutting down');
  }
}

/** One that still starts is the worse choice for as long as another runs. */
const load = (instance: Instance): number =>
  instance.inFlight + (instance.state === 'starting' ? STARTING_LOAD : 0);
const STARTING_LOAD = 1000;
