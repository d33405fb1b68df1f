import { CANCEL_ASKS, FrameError, FrameType, type Frame } from '../protocol/frame.ts';
import {
  parseRunnerHead,
  type Configure,
  type Load,
  type RunnerHeads,
  type Unload,
} from '../protocol/messages.ts';
import { headText } from '../protocol/head-text.ts';
import { failure, type Failure } from '../protocol/outcome.ts';
import type { GuestServices } from '../services/types.ts';
import type { Logger } from '../telemetry/log.ts';
import type { PoolMetrics } from '../telemetry/part-metrics.ts';
import { Allowance } from './allowance.ts';
import { boundsOf, isolateLimitsOf } from './bounds.ts';
import { serveBridgeCall } from './bridge.ts';
import { RETRY_AFTER_MS, type Call, type CallCarrier } from './call.ts';
import type { Clock } from './clock.ts';
import type { InlineEntries } from './inline-entries.ts';
import type { Instance } from './instance.ts';
import { Pings } from './pings.ts';
import { believable, ResultReader } from './reply.ts';
import { heldUpBy, lostWith, overCpuLimit, Suspicion } from './runner-end.ts';
import type { RunnerGone, RunnerOwner, RunnerProcess } from './runner-process.ts';
import type { RetireReason } from './types.ts';
import type { Watched } from './watch.ts';

/** Added to the runner's own limits on start and end of an isolate, before the host takes the runner for stuck. */
const PATIENCE_MS = 5000;
/** JSON around a line of the log may be larger than the line. */
const LOG_SLACK = 4;
const LOG_BURST_BYTES = 256 * 1024;
const MAX_DETAIL_CHARS = 8 * 1024;

export interface AccountRunnerParts {
  readonly services: GuestServices;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: PoolMetrics | undefined;
  readonly inline: InlineEntries;
  /** Calls that never ran: they go to a fresh isolate. */
  readonly resubmit: (calls: readonly Call[]) => void;
  /** The isolate takes no calls any more. */
  readonly onInstanceGone: (instance: Instance) => void;
  readonly onGone: (runner: AccountRunner, gone: RunnerGone, suspects: readonly Instance[]) => void;
}

export interface BundleBytes {
  readonly code: Uint8Array;
  readonly map: Uint8Array;
}

/** The runner of one account: its isolates, and who waits for what from it. */
export class AccountRunner implements RunnerOwner, CallCarrier {
  readonly process: RunnerProcess;
  /** What the watch knows of it. */
  readonly watched: Watched;
  readonly #parts: AccountRunnerParts;
  readonly #instances = new Map<number, Instance>();
  readonly #pings = new Pings();
  readonly #results = new ResultReader();
  readonly #suspicion: Suspicion;
  #lastId = 0;
  #lastIsolate = 0;

  constructor(process: RunnerProcess, first: Instance['deployment'], parts: AccountRunnerParts) {
    this.process = process;
    this.#parts = parts;
    this.#suspicion = new Suspicion(parts.clock);
    this.watched = {
      gauge: () => process.gauge,
      residentLimitBytes: 0,
      cores: 0,
      busy: () => this.inFlight > 0 || this.isBetween,
      ping: (onPong) => this.#ping(onPong),
      mayHoldUpMs: () => heldUpBy(this.#instances.values())?.deployment.limits.cpu_ms ?? 0,
      kill: (cause, detail) => process.kill(cause, detail),
      lastThrottledMs: 0,
    };
    process.take(this, boundsOf(first.limits));
    this.adopt(first);
  }

  /** Isolates, those among them that start or end included. */
  get instances(): Iterable<Instance> {
    return this.#instances.values();
  }

  get isolates(): number {
    return this.#instances.size;
  }

  get inFlight(): number {
    let count = 0;
    for (const instance of this.#instances.values()) count += instance.inFlight;
    return count;
  }

  /** An isolate starts or ends. */
  get isBetween(): boolean {
    for (const { state } of this.#instances.values()) if (state !== 'running') return true;
    return false;
  }

  /** The account's limits, as its newest deployment knows them. */
  adopt({ limits }: Instance['deployment']): void {
    this.watched.residentLimitBytes = limits.process_memory_mb * 1024 * 1024;
    this.watched.cores = limits.cpu_cores;
    this.process.widen(boundsOf(limits));
  }

  load(instance: Instance, { code, map }: BundleBytes): void {
    const { deployment } = instance;
    this.adopt(deployment);
    instance.number = ++this.#lastIsolate;
    instance.inline = this.process.gauge !== undefined && this.#parts.inline.allows(instance);
    instance.logBytes = new Allowance(
      this.#parts.clock,
      LOG_SLACK * deployment.limits.log_bytes_per_s + LOG_BURST_BYTES,
    );
    this.#instances.set(instance.number, instance);
    const head: Load = {
      lambdaId: deployment.lambdaId,
      accountId: deployment.accountId,
      version: deployment.version,
      type: deployment.type,
      handler: deployment.handler,
      codeBytes: code.length,
      limits: isolateLimitsOf(deployment.limits),
      lambdaConfig: deployment.lambdaConfig,
      userConfig: deployment.userConfig,
      env: deployment.env,
      services: deployment.services,
      debugErrors: deployment.debugErrors,
      profile: deployment.onProfile !== undefined,
      inline: instance.inline,
    };
    const body = map.length === 0 ? code : Buffer.concat([code, map]);
    this.process.send(FrameType.load, instance.number, 0, 0, JSON.stringify(head), body);
    this.#insist(
      deployment.limits.startup_ms,
      () => instance.state === 'starting',
      'did not start an isolate in time',
    );
  }

  /** Sends the call now; the isolate must be running. */
  invoke(instance: Instance, call: Call): void {
    const id = (this.#lastId = this.#lastId === 0xffffffff ? 1 : this.#lastId + 1);
    call.carry(this, id);
    instance.sent.set(id, call);
    const left = Math.max(0, Math.min(0xffffffff, Math.ceil(call.deadlineMs - this.#parts.clock.now())));
    const { head, body } = call.invocation;
    this.process.send(FrameType.invoke, instance.number, id, left, headText(head), body, call);
  }

  cancel(call: Call): void {
    const instance = this.#instanceOf(call);
    if (instance) this.process.send(FrameType.cancel, instance.number, call.id, 0, '');
  }

  interrupt(call: Call): void {
    const instance = this.#instanceOf(call);
    if (instance) this.process.send(FrameType.cancel, instance.number, call.id, CANCEL_ASKS, '');
  }

  onSilence(call: Call): void {
    if (!this.#instanceOf(call)) return;
    if (this.#parts.clock.now() - this.watched.lastThrottledMs < PATIENCE_MS) call.watchSilence();
    else this.process.kill('unresponsive', 'did not answer an invocation long after its deadline');
  }

  #instanceOf(call: Call): Instance | undefined {
    for (const instance of this.#instances.values()) if (instance.sent.get(call.id) === call) return instance;
    return undefined;
  }

  configure(instance: Instance, userConfig: unknown): void {
    const head: Configure = { userConfig };
    this.process.send(FrameType.configure, instance.number, 0, 0, JSON.stringify(head));
  }

  /** Takes nothing new; resolves when the isolate is gone. */
  unload(instance: Instance, reason: RetireReason, graceMs: number): Promise<void> {
    if (instance.state !== 'running') return instance.ended;
    instance.state = 'draining';
    this.#parts.metrics?.isolateEnded(reason);
    const head: Unload = { reason, graceMs };
    this.process.send(FrameType.unload, instance.number, 0, 0, JSON.stringify(head));
    this.#insist(
      graceMs + instance.deployment.limits.shutdown_ms,
      () => instance.state === 'draining',
      'did not end an isolate in time',
    );
    return instance.ended;
  }

  /** Kills the runner where `pending` still holds after `ms` and some patience, the time that it was held back not counted. */
  #insist(ms: number, pending: () => boolean, what: string): void {
    this.#parts.clock.after(ms + PATIENCE_MS, () => {
      if (!pending() || this.process.state === 'gone') return;
      if (this.#parts.clock.now() - this.watched.lastThrottledMs < PATIENCE_MS)
        this.#insist(0, pending, what);
      else this.process.kill('unresponsive', what);
    });
  }

  #ping(onPong: () => void): void {
    this.process.send(FrameType.ping, 0, this.#pings.expect(onPong), 0, '');
  }

  onFrame(name: keyof RunnerHeads, frame: Frame): void {
    switch (name) {
      case 'result':
        return this.#onResult(frame);
      case 'log':
        return this.#onLog(frame);
      case 'bridgeCall':
        return this.#onBridgeCall(frame);
      case 'pong':
        return this.#onPong(frame);
      case 'loaded':
        return this.#onLoaded(frame);
      case 'loadFailed':
        return this.#onLoadFailed(frame);
      case 'isolateGone':
        return this.#onIsolateGone(frame);
      case 'unloaded':
        return this.#onUnloaded(frame);
      case 'ready':
        throw new FrameError('ready twice');
    }
  }

  #instance(frame: Frame): Instance {
    const instance = this.#instances.get(frame.isolate);
    if (!instance) throw new FrameError(`there is no isolate ${frame.isolate}`);
    return instance;
  }

  #onResult(frame: Frame): void {
    const instance = this.#instance(frame);
    const call = instance.sent.get(frame.id);
    if (!call) throw new FrameError(`invocation ${frame.id} is not outstanding in isolate ${frame.isolate}`);
    const outcome = this.#results.outcome(frame.head, frame.body, call.deployment.limits);
    instance.sent.delete(frame.id);
    instance.answers += 1;
    instance.lastUsedMs = this.#parts.clock.now();
    call.answered();
    call.settle(outcome, frame.aux);
  }

  #onLog(frame: Frame): void {
    const instance = this.#instance(frame);
    // The guest bounds its own lines; what a runner sends beyond that is not even read.
    if (!instance.logBytes?.take(frame.head.length)) {
      instance.droppedLogs += 1;
      return;
    }
    const head = parseRunnerHead('log', frame.head);
    const dropped = head.dropped + instance.droppedLogs;
    instance.droppedLogs = 0;
    this.#parts.services.log(instance.deployment, { lines: head.lines, dropped });
  }

  #onBridgeCall(frame: Frame): void {
    const instance = this.#instance(frame);
    const request = { id: frame.id, call: parseRunnerHead('bridgeCall', frame.head), body: frame.body };
    serveBridgeCall(this.#parts.services, instance, request, ({ reply, body }) =>
      this.process.send(FrameType.bridgeReply, frame.isolate, frame.id, 0, JSON.stringify(reply), body),
    );
  }

  #onPong(frame: Frame): void {
    const onPong = this.#pings.answered(frame.id);
    for (const { isolate, heapBytes, cpuMs } of parseRunnerHead('pong', frame.head).isolates) {
      const instance = this.#instances.get(isolate);
      if (instance) Object.assign(instance, { heapBytes, cpuMs });
    }
    onPong();
  }

  #onLoaded(frame: Frame): void {
    const instance = this.#instance(frame);
    if (instance.state !== 'starting') throw new FrameError(`isolate ${frame.isolate} is ${instance.state}`);
    instance.onLoaded(parseRunnerHead('loaded', frame.head));
    instance.lastUsedMs = this.#parts.clock.now();
    for (const call of instance.waiting.splice(0)) {
      if (call.settled) continue;
      call.invocation.trace?.hasIsolate();
      this.invoke(instance, call);
    }
  }

  #onLoadFailed(frame: Frame): void {
    const instance = this.#instance(frame);
    if (instance.state !== 'starting') throw new FrameError(`isolate ${frame.isolate} is ${instance.state}`);
    this.#failStart(instance, believable(parseRunnerHead('loadFailed', frame.head)));
  }

  #failStart(instance: Instance, why: Failure): void {
    this.#suspicion.isolateEnded(instance);
    this.#drop(instance, why);
    for (const call of instance.waiting.splice(0)) call.settle(why);
  }

  #drop(instance: Instance, why?: Failure): void {
    this.#instances.delete(instance.number);
    instance.onGone(why);
    this.#parts.onInstanceGone(instance);
  }

  /**
   * Results come before it for all that entered the isolate. What is neither answered nor listed crossed it on the way: a ping
   * sent now is answered after the runner has seen that too, and what has no answer then never ran.
   */
  #onIsolateGone(frame: Frame): void {
    const instance = this.#instance(frame);
    const { reason, detail, notEntered } = parseRunnerHead('isolateGone', frame.head);
    if (instance.state === 'gone') throw new FrameError(`isolate ${frame.isolate} is gone twice`);
    this.#parts.metrics?.isolateEnded(reason);
    if (instance.state === 'starting') {
      const kind = reason === 'crash' || reason === 'load_failed' ? 'start_failed' : reason;
      this.#failStart(instance, failure(kind, detail.slice(0, MAX_DETAIL_CHARS)));
      return;
    }
    const back: Call[] = [];
    for (const id of notEntered) {
      const call = instance.sent.get(id);
      if (!call) throw new FrameError(`invocation ${id} is not outstanding in isolate ${frame.isolate}`);
      instance.sent.delete(id);
      if (call.settled) call.answered();
      else back.push(call);
    }
    for (const call of back) instance.displace(call);
    this.#suspicion.isolateEnded(instance);
    instance.onGone();
    this.#parts.onInstanceGone(instance);
    this.#parts.log.debug({ isolate: instance.key, reason, detail: detail.slice(0, 500) }, 'isolate gone');
    this.#ping(() => {
      this.#instances.delete(instance.number);
      const crossed = [...instance.sent.values()];
      instance.sent.clear();
      for (const call of crossed) {
        if (call.settled) call.answered();
        else instance.displace(call);
      }
      this.#parts.resubmit(crossed);
    });
    this.#parts.resubmit(back);
  }

  #onUnloaded(frame: Frame): void {
    const instance = this.#instance(frame);
    if (instance.state !== 'draining') throw new FrameError(`isolate ${frame.isolate} is ${instance.state}`);
    // What onShutdown threw stands in the lambda's log already.
    parseRunnerHead('unloaded', frame.head);
    // The frame's bytes belong to the connection: what is kept is a copy.
    if (frame.body.length > 0) instance.deployment.onProfile?.(Buffer.from(frame.body));
    const cutOff = [...instance.sent.values()];
    instance.sent.clear();
    this.#drop(instance);
    for (const call of cutOff) {
      call.answered();
      call.fail('isolate_lost', 'the isolate was taken down before the lambda answered', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
  }

  onGone(gone: RunnerGone): void {
    const instances = [...this.#instances.values()];
    this.#instances.clear();
    this.#pings.clear();
    const suspects = this.#suspicion.suspects(instances);
    const why = lostWith(gone.cause);
    const culprit = gone.cause === 'cpu_limit' ? heldUpBy(instances) : undefined;
    culprit?.settle(...overCpuLimit(culprit.deployment.limits));
    const back: Call[] = [];
    for (const instance of instances) {
      const unsent = instance.waiting.splice(0);
      for (const call of instance.sent.values()) {
        if (call.settled) call.answered();
        // An isolate that is gone has answered for all that entered it.
        else if (call.written && instance.state !== 'gone') call.settle(why);
        else unsent.push(call);
      }
      for (const call of unsent) instance.displace(call);
      back.push(...unsent);
      instance.sent.clear();
      instance.onGone(why);
      this.#parts.onInstanceGone(instance);
    }
    this.#parts.onGone(this, gone, suspects);
    this.#parts.resubmit(back);
  }
}
