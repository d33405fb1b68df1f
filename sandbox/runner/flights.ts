import { FrameType } from '../../src/protocol/frame.ts';
import type { Load } from '../../src/protocol/messages.ts';
import { failure, type Failure, type FailureKind } from '../../src/protocol/outcome.ts';
import type { AcceptedFailure } from '../bridge/failure.ts';
import { acceptReply } from '../bridge/reply.ts';
import type { Body } from '../bridge/wire.ts';
import type { Connection } from './connection.ts';
import type { Timed } from './deadlines.ts';
import type { IsolateLog } from './isolate-log.ts';
import type { Metered } from './meter.ts';

/** What others in the isolate are told to do when one broke a limit: a fresh isolate is there within this time. */
const RETRY_AFTER_MS = 1_000;

/** An invocation between its frame's arrival and its result. */
export interface Flight extends Metered, Timed {
  readonly isolate: FlightOwner;
  entered: boolean;
}

/** Whose invocation it is. */
export interface FlightOwner {
  readonly id: number;
  /** The deadline of one of its invocations has passed. */
  expire(flight: Flight): void;
}

export interface FlightsParts {
  readonly isolate: FlightOwner;
  readonly load: Load;
  readonly log: IsolateLog;
  readonly connection: Connection;
  /** Microseconds of CPU that an invocation used; it leaves. */
  readonly bill: (flight: Flight) => number;
  /** The last one has its result. */
  readonly onNone: () => void;
}

/** The invocations of one isolate that are under way. Each gets one result: what comes after a timeout or a cancel is dropped here. */
export class Flights {
  readonly #parts: FlightsParts;
  readonly #flights = new Map<number, Flight>();
  #held: (() => void)[] | undefined;

  constructor(parts: FlightsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#flights.size;
  }

  get byId(): ReadonlyMap<number, Flight> {
    return this.#flights;
  }

  /** `deadline`: milliseconds on the monotonic clock. */
  begin(id: number, deadline: number): void {
    this.#flights.set(id, { isolate: this.#parts.isolate, id, deadline, entered: false, cpuUs: 0 });
  }

  entered(id: number): void {
    const flight = this.#flights.get(id);
    if (flight !== undefined) flight.entered = true;
  }

  /** From now on results are kept back, until `release`: who holds this thread up must be known by its open call. */
  hold(): void {
    this.#held = [];
  }

  /** What was kept back; it is sent by calling it. */
  release(): readonly (() => void)[] {
    const held = this.#held ?? [];
    this.#held = undefined;
    return held;
  }

  /** The handler returned; what it returned is checked here against the lambda's limits. */
  reply(id: number, head: string, body: Body): void {
    const refused = acceptReply(head, body, this.#parts.load.limits);
    if (refused !== undefined) this.#result(id, JSON.stringify(refused), '');
    else this.#result(id, head, body);
  }

  /** The handler threw, or what it returned was no reply. */
  throw(id: number, { failure: failed, stack, requestId }: AcceptedFailure): void {
    const { load, log } = this.#parts;
    if (failed.kind === 'exception' && this.#flights.has(id))
      log.write('error', stack ?? `${failed.type ?? 'Error'}: ${failed.detail}`, requestId);
    this.fail(id, load.debugErrors && stack !== undefined ? { ...failed, stack } : failed);
  }

  fail(id: number, failed: Failure): void {
    this.#result(id, JSON.stringify(failed), '');
  }

  /** The isolate is taken down before they have answered. */
  failAll(detail: string): void {
    const failed = JSON.stringify(failure('draining', detail, { retryAfterMs: RETRY_AFTER_MS }));
    for (const id of [...this.#flights.keys()]) this.#result(id, failed, '');
  }

  /**
   * A limit was broken: the culprit (0: nobody knows) is told which, the others that they may try again. Those that never entered get
   * no result; returns them.
   */
  lose(culprit: number, kind: FailureKind, detail: string): number[] {
    const others = JSON.stringify(
      failure('isolate_lost', `another request of this lambda ended its isolate: ${detail}`, {
        retryAfterMs: RETRY_AFTER_MS,
      }),
    );
    const notEntered: number[] = [];
    for (const { id, entered } of [...this.#flights.values()]) {
      if (!entered) notEntered.push(id);
      else if (id === culprit) this.fail(id, failure(kind, detail));
      else this.#result(id, others, '');
    }
    return notEntered;
  }

  #result(id: number, head: string, body: Body): void {
    const flight = this.#flights.get(id);
    if (flight === undefined) return;
    if (this.#held !== undefined) {
      this.#held.push(() => this.#result(id, head, body));
      return;
    }
    const { isolate, log, connection, bill, onNone } = this.#parts;
    this.#flights.delete(id);
    log.flush();
    const aux = Math.min(0xffff_ffff, Math.round(bill(flight)));
    connection.send(FrameType.result, isolate.id, id, aux, head, body);
    if (this.#flights.size === 0) onNone();
  }
}
