import type IsolatedVm from 'isolated-vm';
import { FrameType } from '../../src/protocol/frame.ts';
import type { IsolateGone, Load, Unload } from '../../src/protocol/messages.ts';
import { failure, type Failure } from '../../src/protocol/outcome.ts';
import { FromGuest, SHARED_SLOTS, ToGuest, type Body } from '../bridge/wire.ts';
import { acceptFailure, type AcceptedFailure } from '../bridge/failure.ts';
import { acceptBridgeCall, isOfUnknownOwner } from '../bridge/call.ts';
import { acceptReply } from '../bridge/reply.ts';
import { freshBytes } from '../bridge/random.ts';
import { acceptWakeDelay } from '../bridge/timer.ts';
import { bootGuest, type BootedGuest } from './boot.ts';
import { runningNow } from './culprit.ts';
import type { FreshIsolate } from './fresh-isolate.ts';
import { HeapGauge } from './heap-gauge.ts';
import { Intake, textOrBytes, type Item } from './intake.ts';
import { IsolateLog } from './isolate-log.ts';
import { Meter, type Metered } from './meter.ts';
import { eachPosted } from './posted.ts';
import { startProfile, type Profile } from './profile.ts';
import { Stacks } from './stacks.ts';
import type { RunnerContext } from './context.ts';
import type { Timed } from './deadlines.ts';
import type { Watched } from './watchdog.ts';

/** What others in the isolate are told to do when one broke a limit: a fresh isolate is there within this time. */
const RETRY_AFTER_MS = 1_000;
const BYTES_REPLY_HEAD =
  '{"kind":"reply","status":200,"headers":["content-type","application/octet-stream"]}';
const JSON_REPLY_HEAD = '{"kind":"reply","status":200,"headers":["content-type","application/json"]}';
/** A disposed isolate that still runs after this time is inside a native call: only the process can end it. */
const DISPOSE_MS = 500;

type State = 'loading' | 'running' | 'draining' | 'stopping' | 'gone';

/** An invocation between its frame's arrival and its result. */
export interface Flight extends Metered, Timed {
  readonly isolate: GuestIsolate;
  entered: boolean;
}

/** One isolate: loads a lambda, takes invocations in batches, and goes when told to or when a limit is broken. */
export class GuestIsolate implements Watched {
  readonly id: number;
  readonly flights = new Map<number, Flight>();
  readonly #context: RunnerContext;
  readonly #load: Load;
  readonly #startedAt: number;
  readonly #marker: Int32Array;
  readonly #memory: SharedArrayBuffer;
  readonly #intake: Intake;
  readonly #stacks: Stacks;
  readonly #fresh: FreshIsolate;
  readonly #isolate: IsolatedVm.Isolate;
  readonly #meter: Meter;
  readonly #heap: HeapGauge;
  readonly #log: IsolateLog;
  #state: State = 'loading';
  #deliver: BootedGuest['deliver'] | undefined;
  #entered = false;
  #ended: (() => void) | undefined;
  #startTimer: NodeJS.Timeout | undefined;
  #wakeTimer: NodeJS.Timeout | undefined;
  #stopTimer: NodeJS.Timeout | undefined;
  #unload: Unload | undefined;
  #profile: Profile | undefined;
  /** What came while the lambda was starting: its timers enter meanwhile, its invocations must not. */
  #early: Item[] = [];

  constructor(context: RunnerContext, id: number, load: Load, map: Buffer, startedAt: number) {
    this.id = id;
    this.#context = context;
    this.#load = load;
    this.#startedAt = startedAt;
    this.#stacks = new Stacks(map);
    this.#memory = new SharedArrayBuffer(SHARED_SLOTS * Int32Array.BYTES_PER_ELEMENT);
    this.#marker = new Int32Array(this.#memory);
    this.#intake = new Intake(load.limits.cpu_ms, context.suspects.has(load.lambdaId));
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
    this.#meter = new Meter({
      cpuTime: () => this.#isolate.cpuTime,
      processUs,
      now: context.now,
      marker: this.#marker,
      flights: this.flights,
      limitMs: load.limits.cpu_ms,
    });
  }

  get entered(): boolean {
    return this.#entered;
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
        post: (index, text, apart) => this.#posted(index, text, apart),
      });
      if (this.#state !== 'loading') return;
      this.#deliver = guest.deliver;
      this.#intake.push({ type: ToGuest.start, id: 0, head: '', body: '' });
      this.enter();
    } catch (error) {
      this.#loadFailed(this.#thrown(error));
    }
  }

  /** A frame of the host for this isolate. It enters with `enter`, together with the others of its turn. */
  invoke(id: number, leftMs: number, head: string, body: Buffer): void {
    const flight: Flight = {
      isolate: this,
      id,
      deadline: this.#context.now() + leftMs,
      entered: false,
      cpuUs: 0,
    };
    this.flights.set(id, flight);
    this.#context.deadlines.add(flight.deadline);
    this.#queue({ type: ToGuest.invoke, id, head, body: textOrBytes(body) });
  }

  /** Aborts the invocation's signal, and goes on waiting for its result. */
  interrupt(id: number): void {
    if (!this.flights.has(id) || this.#isGone()) return;
    this.#queue({ type: ToGuest.cancel, id, head: 'interrupted', body: '' });
  }

  cancel(id: number): void {
    const flight = this.flights.get(id);
    if (flight !== undefined) this.#cutOff(flight, 'canceled', 'the caller went away');
  }

  bridgeReply(id: number, head: string, body: Buffer): void {
    this.#intake.push({ type: ToGuest.bridgeReply, id, head, body: textOrBytes(body) });
  }

  configure(head: string): void {
    this.#queue({ type: ToGuest.configure, id: 0, head, body: '' });
  }

  #queue(item: Item): void {
    if (this.#state === 'loading') this.#early.push(item);
    else this.#intake.push(item);
  }

  expire(flight: Flight): void {
    const { limits } = this.#load;
    this.#cutOff(
      flight,
      'timeout',
      `no reply before the deadline; CPU used: ${ms(flight.cpuUs)} of ${limits.cpu_ms} ms`,
    );
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
    const limit = `cpu_ms is ${this.#load.limits.cpu_ms}`;
    const detail = breach.background
      ? `timers or other work outside of requests computed for too long: ${limit}`
      : `an invocation computed for longer than it may: ${limit}`;
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

  /** Lets all that waits enter, unless an entry is running; then it enters after that. While it loads, that is what `onStart` asked for. */
  enter(): void {
    const deliver = this.#deliver;
    if (this.#entered || deliver === undefined || this.#state === 'gone') return;
    const items = this.#intake.take();
    if (items.length === 0) return;
    for (const { type, id } of items) {
      const flight = type === ToGuest.invoke ? this.flights.get(id) : undefined;
      if (flight !== undefined) flight.entered = true;
    }
    this.#entered = true;
    this.#heap.ran();
    this.#meter.beginEntry();
    this.#context.watchdog.wake();
    const before = this.#meter.totalUs;
    deliver(items).then(
      () => this.#entryEnded(items, before, undefined),
      (error: unknown) => this.#entryEnded(items, before, error ?? new Error('unknown error')),
    );
  }

  #entryEnded(items: readonly Item[], before: number, error: unknown): void {
    this.#entered = false;
    this.#ended?.();
    if (this.#state === 'gone') return;
    this.check();
    if (error !== undefined) this.#entryThrew(error);
    if (this.#isGone()) return;
    if (this.#heap.bytes === 0) this.#refreshHeap();
    const invoked = items.reduce((count, { type }) => count + (type === ToGuest.invoke ? 1 : 0), 0);
    if (invoked > 0) this.#intake.learn(invoked, this.#meter.totalUs - before);
    this.enter();
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
    else this.#lose('memory_limit', detail, runningNow(this.#marker, this.flights.values()));
  }

  #posted(index: unknown, text: unknown, apart: unknown): void {
    if (this.#state === 'gone') return;
    this.#meter.sample();
    eachPosted(index, text, apart, (type, id, head, body) => {
      if (!this.#isGone()) this.#postedItem(type, id, head, body);
    });
  }

  #postedItem(type: number, id: number, head: string, body: Body): void {
    switch (type) {
      case FromGuest.json:
        return this.#replied(id, JSON_REPLY_HEAD, body);
      case FromGuest.bytes:
        return this.#replied(id, BYTES_REPLY_HEAD, body);
      case FromGuest.reply:
        return this.#replied(id, head, body);
      case FromGuest.failure:
        return this.#failed(id, acceptFailure(head, this.#stacks));
      case FromGuest.log:
        return this.#log.append(head, id);
      case FromGuest.bridgeCall:
        if (acceptBridgeCall(head, body)) {
          // Outward requests are counted for each invocation, so whose they are is worth more than batches.
          if (this.#state === 'running' && this.flights.size > 0 && isOfUnknownOwner(head))
            this.#intake.oneByOne();
          this.#context.connection.send(FrameType.bridgeCall, this.id, id >>> 0, 0, head, body);
        }
        return;
      case FromGuest.timer:
        return this.#wakeIn(acceptWakeDelay(id));
      case FromGuest.started:
        return this.#started(head);
      case FromGuest.startFailed: {
        const failed = acceptFailure(head, this.#stacks);
        return this.#loadFailed({
          ...failed.failure,
          ...(failed.stack === undefined ? {} : { stack: failed.stack }),
        });
      }
      case FromGuest.shutDown:
        return this.#stopped(head === '' ? undefined : this.#stacks.mapText(head));
      case FromGuest.wantRandom:
        this.#intake.push({ type: ToGuest.random, id: 0, head: '', body: freshBytes() });
        // The entry that asked is still running; this enters after it.
        return this.enter();
      default:
        return;
    }
  }

  #replied(id: number, head: string, body: Body): void {
    const refused = acceptReply(head, body, this.#load.limits);
    if (refused !== undefined) this.#result(id, JSON.stringify(refused), '');
    else this.#result(id, head, body);
  }

  #failed(id: number, { failure: failed, stack, requestId }: AcceptedFailure): void {
    const told = this.#load.debugErrors && stack !== undefined ? { ...failed, stack } : failed;
    if (failed.kind === 'exception' && this.flights.has(id)) {
      this.#log.write('error', stack ?? `${failed.type ?? 'Error'}: ${failed.detail}`, requestId);
    }
    this.#result(id, JSON.stringify(told), '');
  }

  /** Each invocation gets one result; what comes after a timeout or a cancel is dropped here. */
  #result(id: number, head: string, body: Body): void {
    const flight = this.flights.get(id);
    if (flight === undefined) return;
    this.flights.delete(id);
    this.#log.flush();
    const aux = Math.min(0xffff_ffff, Math.round(this.#meter.leave(flight)));
    this.#context.connection.send(FrameType.result, this.id, id, aux, head, body);
    if (this.#state === 'draining' && this.flights.size === 0) this.#stop();
  }

  /** Ends one invocation from outside: the caller hears at once, the guest's signal aborts. */
  #cutOff(flight: Flight, kind: 'timeout' | 'canceled', detail: string): void {
    const { id, entered } = flight;
    this.#result(id, JSON.stringify(failure(kind, detail)), '');
    if (!entered) {
      this.#intake.remove(id, ToGuest.invoke);
      this.#early = this.#early.filter((item) => item.id !== id);
    } else if (this.#state !== 'gone') {
      this.#intake.push({ type: ToGuest.cancel, id, head: kind, body: '' });
      this.enter();
    }
  }

  #wakeIn(delayMs: number): void {
    clearTimeout(this.#wakeTimer);
    this.#wakeTimer = setTimeout(() => {
      this.#intake.push({ type: ToGuest.wake, id: 0, head: '', body: '' });
      this.enter();
    }, delayMs);
  }

  #started(head: string): void {
    if (this.#state !== 'loading') return;
    clearTimeout(this.#startTimer);
    this.#state = 'running';
    for (const item of this.#early.splice(0)) this.#intake.push(item);
    this.#meter.started();
    this.#log.flush();
    const took = this.#context.now() - this.#startedAt;
    const loaded = `{"ms":${took.toFixed(3)},${head.slice(1)}`;
    this.#context.connection.send(FrameType.loaded, this.id, 0, 0, loaded);
    if (this.#unload !== undefined) this.#drain(this.#unload);
    this.enter();
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
      () => this.#cutOffAll(`still running after the grace time of ${unload.graceMs} ms`),
      unload.graceMs,
    );
  }

  #cutOffAll(detail: string): void {
    const failed = JSON.stringify(failure('draining', detail, { retryAfterMs: RETRY_AFTER_MS }));
    for (const id of [...this.flights.keys()]) this.#result(id, failed, '');
  }

  #stop(): void {
    if (this.#state === 'stopping' || this.#state === 'gone') return;
    clearTimeout(this.#stopTimer);
    this.#state = 'stopping';
    const { shutdown_ms } = this.#load.limits;
    this.#stopTimer = setTimeout(
      () => this.#stopped(`onShutdown did not end within shutdown_ms (${shutdown_ms} ms)`),
      shutdown_ms,
    );
    this.#intake.push({ type: ToGuest.shutdown, id: 0, head: '', body: '' });
    this.enter();
  }

  #stopped(error: string | undefined): void {
    if (this.#state !== 'stopping') return;
    if (error !== undefined) this.#log.write('error', `onShutdown: ${error}`);
    this.#log.flush();
    const head = JSON.stringify(error === undefined ? {} : { error });
    const profile = this.#profile;
    this.#profile = undefined;
    const send = (body: string): void => {
      if (this.#isGone()) return;
      this.#cutOffAll('the lambda was stopped');
      this.#context.connection.send(FrameType.unloaded, this.id, 0, 0, head, body);
      this.#end();
    };
    if (profile === undefined) return send('');
    clearTimeout(this.#stopTimer);
    profile.stop(this.#stacks).then(send, () => send(''));
  }

  #refreshHeap(): void {
    if (!this.#entered && this.#state !== 'loading' && !this.#isGone()) this.#heap.refresh();
  }

  /** A limit was broken: the culprit is told which, the others that they may try again, and the isolate goes. */
  #lose(reason: IsolateGone['reason'], detail: string, culprit: number): void {
    if (this.#isGone()) return;
    const kind = reason === 'memory_limit' ? 'memory_limit' : 'cpu_limit';
    if (culprit === 0) this.#context.suspects.add(this.#load.lambdaId);
    const others = JSON.stringify(
      failure('isolate_lost', `another request of this lambda ended its isolate: ${detail}`, {
        retryAfterMs: RETRY_AFTER_MS,
      }),
    );
    const notEntered: number[] = [];
    for (const flight of [...this.flights.values()]) {
      if (!flight.entered) notEntered.push(flight.id);
      else if (flight.id === culprit) this.#result(flight.id, JSON.stringify(failure(kind, detail)), '');
      else this.#result(flight.id, others, '');
    }
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
    else
      this.#lose(
        memory ? 'memory_limit' : 'crash',
        `V8 gave up: ${message}`,
        runningNow(this.#marker, this.flights.values()),
      );
    this.#context.die('V8 gave up on an isolate');
  }

  /** Frees everything. An entry that does not end is in a native call that V8 can't break off. */
  #end(): void {
    this.#state = 'gone';
    for (const timer of [this.#startTimer, this.#wakeTimer, this.#stopTimer]) clearTimeout(timer);
    this.#context.forget(this);
    if (this.#entered) {
      const stuck = setTimeout(() => this.#context.die('an isolate did not end when disposed'), DISPOSE_MS);
      this.#ended = () => clearTimeout(stuck);
    }
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }
}

function processUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const ms = (us: number): string => (us / 1_000).toFixed(0);
