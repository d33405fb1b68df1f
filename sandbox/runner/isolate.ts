import type IsolatedVm from 'isolated-vm';
import { FrameType } from '../../src/protocol/frame.ts';
import type { IsolateGone, Load, Unload } from '../../src/protocol/messages.ts';
import { failure, overCpuDetail, type Failure } from '../../src/protocol/outcome.ts';
import { SHARED_SLOTS, ToGuest, type Body } from '../bridge/wire.ts';
import type { AcceptedFailure } from '../bridge/failure.ts';
import { isOfUnknownOwner } from '../bridge/call.ts';
import { freshBytes } from '../bridge/random.ts';
import { bootGuest, type Posted } from './boot.ts';
import type { RunnerContext } from './context.ts';
import { runningNow } from './culprit.ts';
import { Entries } from './entries.ts';
import { Flights, type Flight } from './flights.ts';
import type { FreshIsolate } from './fresh-isolate.ts';
import { HeapGauge } from './heap-gauge.ts';
import { textOrBytes, type Item } from './intake.ts';
import { IsolateLog } from './isolate-log.ts';
import { Meter } from './meter.ts';
import { hearPosted, type GuestListener } from './posted.ts';
import { startProfile, type Profile } from './profile.ts';
import { Stacks } from './stacks.ts';
import type { Watched } from './watchdog.ts';

/** A disposed isolate that still runs after this time is inside a native call: only the process can end it. */
const DISPOSE_MS = 500;

type State = 'loading' | 'running' | 'draining' | 'stopping' | 'gone';

/** One isolate: loads a lambda, takes invocations, and goes when told to or when a limit is broken. */
export class GuestIsolate implements Watched, GuestListener {
  readonly id: number;
  readonly flights: Flights;
  readonly #context: RunnerContext;
  readonly #load: Load;
  readonly #startedAt: number;
  readonly #marker: Int32Array;
  readonly #memory: SharedArrayBuffer;
  readonly #entries: Entries;
  readonly #stacks: Stacks;
  readonly #fresh: FreshIsolate;
  readonly #isolate: IsolatedVm.Isolate;
  readonly #meter: Meter;
  readonly #heap: HeapGauge;
  readonly #log: IsolateLog;
  #state: State = 'loading';
  #startTimer: NodeJS.Timeout | undefined;
  #wakeTimer: NodeJS.Timeout | undefined;
  #stopTimer: NodeJS.Timeout | undefined;
  #unload: Unload | undefined;
  #profile: Profile | undefined;

  constructor(context: RunnerContext, id: number, load: Load, map: Buffer, startedAt: number) {
    this.id = id;
    this.#context = context;
    this.#load = load;
    this.#startedAt = startedAt;
    this.#stacks = new Stacks(map);
    this.#memory = new SharedArrayBuffer(SHARED_SLOTS * Int32Array.BYTES_PER_ELEMENT);
    this.#marker = new Int32Array(this.#memory);
    this.#fresh = context.nursery.take(load.limits.memory_mb, load.profile);
    this.#fresh.onCatastrophe = (message) => this.#catastrophe(message);
    this.#isolate = this.#fresh.isolate;
    this.#heap = new HeapGauge(this.#isolate);
    this.#log = new IsolateLog({
      isolate: id,
      maxLineChars: load.limits.log_line_bytes,
      stacks: this.#stacks,
      connection: context.connection,
      onWaiting: () => context.logWaiting(this),
    });
    this.flights = new Flights({
      isolate: this,
      load,
      log: this.#log,
      connection: context.connection,
      bill: (flight) => this.#meter.leave(flight),
      onNone: () => this.#answeredAll(),
    });
    this.#meter = new Meter({
      cpuTime: () => this.#isolate.cpuTime,
      processUs,
      now: context.now,
      marker: this.#marker,
      flights: this.flights.byId,
      limitMs: load.limits.cpu_ms,
    });
    this.#entries = new Entries({
      cpuLimitMs: load.limits.cpu_ms,
      single: context.suspects.has(load.lambdaId),
      usedUs: () => this.#meter.totalUs,
      mayHoldUp: (item) => this.#mayHoldUp(item),
      onBegin: (items) => this.#entryBegins(items),
      onEnd: (error) => this.#entryEnded(error),
    });
  }

  get entered(): boolean {
    return this.#entries.running;
  }

  get cpuLimitMs(): number {
    return this.#load.limits.cpu_ms;
  }

  /** Makes the context, evaluates the lambda and runs `onStart`; sends `loaded` or `loadFailed` at the end. */
  async load(code: string): Promise<void> {
    const { limits } = this.#load;
    this.#startTimer = setTimeout(() => this.#startOverdue(), limits.startup_ms);
    try {
      if (this.#load.profile) this.#profile = startProfile(this.#isolate);
      const guest = await bootGuest(this.#context.ivm, this.#fresh, {
        load: this.#load,
        code,
        memory: this.#memory,
        post: (...posted) => this.#posted(...posted),
      });
      if (this.#state !== 'loading') return;
      this.#entries.open(guest);
      this.#enterWith(ToGuest.start);
    } catch (error) {
      this.#loadFailed(this.#thrown(error));
    }
  }

  /** A frame of the host for this isolate. It enters with `enter`, together with the others of its turn. */
  invoke(id: number, leftMs: number, head: string, body: Buffer): void {
    const deadline = this.#context.now() + leftMs;
    this.flights.begin(id, deadline);
    this.#context.deadlines.add(deadline);
    this.#entries.queue({ type: ToGuest.invoke, id, head, body: textOrBytes(body) });
  }

  /** Aborts the invocation's signal, and goes on waiting for its result. */
  interrupt(id: number): void {
    if (!this.flights.byId.has(id) || this.#isGone()) return;
    this.#entries.queue({ type: ToGuest.cancel, id, head: 'interrupted', body: '' });
  }

  cancel(id: number): void {
    const flight = this.flights.byId.get(id);
    if (flight !== undefined) this.#cutOff(flight, failure('canceled', 'the caller went away'));
  }

  bridgeReply(id: number, head: string, body: Buffer): void {
    this.#entries.push({ type: ToGuest.bridgeReply, id, head, body: textOrBytes(body) });
  }

  configure(head: string): void {
    this.#entries.queue({ type: ToGuest.configure, id: 0, head, body: '' });
  }

  expire(flight: Flight): void {
    const used = `${(flight.cpuUs / 1_000).toFixed(0)} of ${this.#load.limits.cpu_ms} ms`;
    this.#cutOff(flight, failure('timeout', `no reply before the deadline; CPU used: ${used}`));
  }

  /** Ends one invocation from outside: the caller hears at once, the guest's signal aborts. */
  #cutOff({ id, entered }: Flight, why: Failure): void {
    this.flights.fail(id, why);
    if (entered) this.#enterWith(ToGuest.cancel, why.kind, id);
    else this.#entries.takeBack(id);
  }

  unload(unload: Unload): void {
    if (this.#unload !== undefined || this.#state === 'gone') return;
    this.#unload = unload;
    if (this.#state === 'loading') return;
    this.#drain(unload);
  }

  check(): void {
    // isolated-vm disposes of an isolate above its memory limit by itself; the call's promise may stay open then, and
    // the isolate go on computing.
    if (this.#isolate.isDisposed) return this.#outOfMemory();
    const breach = this.#meter.sample();
    if (breach === undefined || this.#state === 'loading' || this.#state === 'stopping') return;
    const { cpu_ms } = this.#load.limits;
    const detail = breach.background
      ? `timers or other work outside of requests computed for too long: cpu_ms is ${cpu_ms}`
      : overCpuDetail(cpu_ms);
    this.#lose('cpu_limit', detail, breach.culprit);
  }

  stats(): { isolate: number; heapBytes: number; cpuMs: number; inFlight: number } {
    this.#refreshHeap();
    return {
      isolate: this.id,
      heapBytes: this.#heap.bytes,
      cpuMs: Math.round(this.#meter.totalUs / 1_000),
      inFlight: this.flights.size,
    };
  }

  /** Hands the log lines of this turn to the connection. */
  flushLog(): void {
    this.#log.flush();
  }

  /** Lets what waits enter. While the lambda starts, that is what `onStart` asked for. */
  enter(): void {
    this.#entries.enter();
  }

  /**
   * Only a call that is alone: nobody else waits for this thread then, and whose it is that computes on is certain. The host ends the
   * process where one does (Load.inline).
   */
  #mayHoldUp({ type }: Item): boolean {
    return (
      this.#load.inline &&
      this.#state === 'running' &&
      this.flights.size === 1 &&
      (type === ToGuest.invoke || type === ToGuest.bridgeReply) &&
      this.#context.isAlone()
    );
  }

  #enterWith(type: number, head = '', id = 0): void {
    this.#entries.push({ type, id, head, body: '' });
    this.#entries.enter();
  }

  #entryBegins(items: readonly Item[]): void {
    for (const { type, id } of items) if (type === ToGuest.invoke) this.flights.entered(id);
    this.#heap.ran();
    this.#meter.beginEntry();
    if (this.#entries.inline) this.flights.hold();
    else this.#context.watchdog.wake();
  }

  #entryEnded(error: unknown): boolean {
    const results = this.flights.release();
    if (this.#isGone()) return false;
    this.check();
    for (const send of results) send();
    if (error !== undefined) this.#entryThrew(error);
    if (this.#isGone()) return false;
    if (this.#heap.bytes === 0) this.#refreshHeap();
    return true;
  }

  #isGone(): boolean {
    return this.#state === 'gone';
  }

  /** The guest catches all that its handlers throw: what is left is the isolate's end, or a rejection nobody handled. */
  #entryThrew(error: unknown): void {
    if (this.#isGone()) return;
    if (!this.#isolate.isDisposed) {
      const { detail, type, stack } = this.#thrown(error);
      this.#log.write(
        'error',
        `Unhandled promise rejection: ${type ?? 'Error'}: ${detail}\n${stack ?? ''}`.trimEnd(),
      );
      return;
    }
    this.#outOfMemory();
  }

  #outOfMemory(): void {
    if (this.#isGone()) return;
    const detail = `the isolate held more than it may: memory_mb is ${this.#load.limits.memory_mb}`;
    if (this.#state === 'loading') this.#loadFailed(failure('memory_limit', detail));
    else this.#lose('memory_limit', detail, this.#runningNow());
  }

  #posted(...posted: Posted): void {
    if (this.#isGone()) return;
    this.#meter.sample();
    hearPosted(posted, this.#stacks, this, () => !this.#isGone());
    if (!this.#entries.inline) return;
    // Where the entry never ends, this thread gets to it at no other time.
    this.#log.flush();
    this.#context.connection.writeNow();
  }

  onReply(id: number, head: string, body: Body): void {
    this.flights.reply(id, head, body);
  }

  onFailure(id: number, failed: AcceptedFailure): void {
    this.flights.throw(id, failed);
  }

  onLog(lines: string, dropped: number): void {
    this.#log.append(lines, dropped);
  }

  onBridgeCall(id: number, head: string, body: Body): void {
    // Outward requests are counted for each invocation, so whose they are is worth more than batches.
    if (this.#state === 'running' && this.flights.size > 0 && isOfUnknownOwner(head))
      this.#entries.oneByOne();
    this.#context.connection.send(FrameType.bridgeCall, this.id, id, 0, head, body);
  }

  onWakeWanted(delayMs: number): void {
    clearTimeout(this.#wakeTimer);
    this.#wakeTimer = setTimeout(() => this.#enterWith(ToGuest.wake), delayMs);
  }

  onRandomWanted(): void {
    this.#entries.push({ type: ToGuest.random, id: 0, head: '', body: freshBytes() });
    // The entry that asked is still running; this enters after it.
    this.enter();
  }

  onStarted(head: string): void {
    if (this.#state !== 'loading') return;
    clearTimeout(this.#startTimer);
    this.#state = 'running';
    this.#entries.started();
    this.#meter.started();
    this.#log.flush();
    const took = this.#context.now() - this.#startedAt;
    const loaded = `{"ms":${took.toFixed(3)},${head.slice(1)}`;
    this.#context.connection.send(FrameType.loaded, this.id, 0, 0, loaded);
    if (this.#unload !== undefined) this.#drain(this.#unload);
    this.enter();
  }

  onStartFailed({ failure: failed, stack }: AcceptedFailure): void {
    this.#loadFailed(stack === undefined ? failed : { ...failed, stack });
  }

  /** Computing all the time is another mistake than waiting for something that never comes: they get different kinds. */
  #startOverdue(): void {
    if (this.#state !== 'loading') return;
    const { startup_ms } = this.#load.limits;
    this.#meter.sample();
    const computed = this.#meter.totalUs / 1_000 > startup_ms / 2;
    this.#loadFailed(
      computed
        ? failure('cpu_limit', `the module or onStart still computed after startup_ms (${startup_ms} ms)`)
        : failure('timeout', `the module or onStart did not end within startup_ms (${startup_ms} ms)`),
    );
  }

  #loadFailed(failed: Failure): void {
    if (this.#state !== 'loading') return;
    clearTimeout(this.#startTimer);
    const text = failed.stack ?? `${failed.type ?? failed.kind}: ${failed.detail}`;
    this.#log.write('error', `The lambda failed to start: ${text}`);
    this.#log.flush();
    this.#context.connection.send(FrameType.loadFailed, this.id, 0, 0, JSON.stringify(failed));
    this.#end();
  }

  /** What an exception that crossed from the isolate says; its stack gets the tenant's positions. */
  #thrown(error: unknown): Failure {
    if (this.#isolate.isDisposed) {
      return failure(
        'memory_limit',
        `the lambda held more than it may: memory_mb is ${this.#load.limits.memory_mb}`,
      );
    }
    if (!(error instanceof Error)) return failure('start_failed', String(error));
    const stack = this.#stacks.map(error.stack ?? '');
    return failure('start_failed', error.message, { type: error.name, ...(stack === '' ? {} : { stack }) });
  }

  #drain(unload: Unload): void {
    this.#state = 'draining';
    if (this.flights.size === 0) return this.#stop();
    this.#stopTimer = setTimeout(
      () => this.flights.failAll(`still running after the grace time of ${unload.graceMs} ms`),
      unload.graceMs,
    );
  }

  #answeredAll(): void {
    if (this.#state === 'draining') this.#stop();
  }

  #stop(): void {
    if (this.#state === 'stopping' || this.#state === 'gone') return;
    clearTimeout(this.#stopTimer);
    this.#state = 'stopping';
    const { shutdown_ms } = this.#load.limits;
    this.#stopTimer = setTimeout(
      () => this.onShutDown(`onShutdown did not end within shutdown_ms (${shutdown_ms} ms)`),
      shutdown_ms,
    );
    this.#enterWith(ToGuest.shutdown);
  }

  onShutDown(error: string | undefined): void {
    if (this.#state !== 'stopping') return;
    if (error !== undefined) this.#log.write('error', `onShutdown: ${error}`);
    this.#log.flush();
    const head = JSON.stringify(error === undefined ? {} : { error });
    const profile = this.#profile;
    this.#profile = undefined;
    const send = (body: string): void => {
      if (this.#isGone()) return;
      this.flights.failAll('the lambda was stopped');
      this.#context.connection.send(FrameType.unloaded, this.id, 0, 0, head, body);
      this.#end();
    };
    if (profile === undefined) return send('');
    clearTimeout(this.#stopTimer);
    profile.stop(this.#stacks).then(send, () => send(''));
  }

  #refreshHeap(): void {
    if (!this.entered && this.#state !== 'loading' && !this.#isGone()) this.#heap.refresh();
  }

  /** A limit was broken: the culprit is told which, the others that they may try again, and the isolate goes. */
  #lose(reason: IsolateGone['reason'], detail: string, culprit: number): void {
    if (this.#isGone()) return;
    const kind = reason === 'memory_limit' ? 'memory_limit' : 'cpu_limit';
    if (culprit === 0) this.#context.suspects.add(this.#load.lambdaId);
    const notEntered = this.flights.lose(culprit, kind, detail);
    this.#log.write('error', `Isolate ended: ${detail}`);
    this.#log.flush();
    const gone: IsolateGone = { reason, detail, notEntered };
    this.#context.connection.send(FrameType.isolateGone, this.id, 0, 0, JSON.stringify(gone));
    this.#end();
  }

  /** V8 has lost the isolate for good, and its thread never returns: say what can be said, then go as a process. */
  #catastrophe(message: string): void {
    const memory = /memory|heap/i.test(message);
    if (this.#state === 'loading') this.#loadFailed(failure('memory_limit', message));
    else this.#lose(memory ? 'memory_limit' : 'crash', `V8 gave up: ${message}`, this.#runningNow());
    this.#context.die('V8 gave up on an isolate');
  }

  /** The one invocation that can have been running; 0 where that is not certain. */
  #runningNow(): number {
    return runningNow(this.#marker, this.flights.byId.values());
  }

  /** Frees everything. An entry that does not end is in a native call that V8 can't break off. */
  #end(): void {
    this.#state = 'gone';
    for (const timer of [this.#startTimer, this.#wakeTimer, this.#stopTimer]) clearTimeout(timer);
    this.#context.forget(this);
    this.#entries.close(DISPOSE_MS, () => this.#context.die('an isolate did not end when disposed'));
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }
}

function processUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
