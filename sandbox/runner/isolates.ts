import { CANCEL_ASKS, FrameType, type Frame } from '../../src/protocol/frame.ts';
import type { Load, Pong, Unload } from '../../src/protocol/messages.ts';
import { failure } from '../../src/protocol/outcome.ts';
import type { RunnerContext } from './context.ts';
import type { Flight } from './flights.ts';
import { GuestIsolate } from './isolate.ts';

/** The isolates of this runner, and the frames on their way to them. The host is trusted: its heads are not checked. */
export class Isolates {
  readonly #isolates = new Map<number, GuestIsolate>();
  readonly #logWaiting = new Set<GuestIsolate>();
  #logScheduled = false;
  #context: RunnerContext | undefined;

  /** Separate from construction because isolates and their context know each other. */
  use(context: RunnerContext): void {
    this.#context = context;
  }

  get size(): number {
    return this.#isolates.size;
  }

  *flights(): Iterable<Flight> {
    for (const isolate of this.#isolates.values()) yield* isolate.flights.byId.values();
  }

  forget(isolate: GuestIsolate): void {
    this.#isolates.delete(isolate.id);
    this.#logWaiting.delete(isolate);
    this.#context?.watchdog.remove(isolate);
  }

  /** Log lines of one turn leave in one frame an isolate. */
  logWaiting(isolate: GuestIsolate): void {
    this.#logWaiting.add(isolate);
    if (this.#logScheduled) return;
    this.#logScheduled = true;
    queueMicrotask(() => {
      this.#logScheduled = false;
      for (const waiting of this.#logWaiting) waiting.flushLog();
      this.#logWaiting.clear();
    });
  }

  /** Takes the frames of one turn, then lets each isolate that got some enter once. */
  take(frames: Iterable<Frame>): void {
    const reached = new Set<GuestIsolate>();
    for (const frame of frames) {
      const isolate = this.#dispatch(frame);
      if (isolate !== undefined) reached.add(isolate);
    }
    if (reached.size === 0) return;
    // From a microtask, where the stack is empty: isolated-vm captures it at each entry, and that of a socket's event,
    // nine optimised frames, took a fourteenth of the main thread.
    queueMicrotask(() => {
      for (const isolate of reached) isolate.enter();
    });
  }

  #dispatch(frame: Frame): GuestIsolate | undefined {
    if (frame.type === FrameType.load) return this.#load(frame);
    if (frame.type === FrameType.ping) return this.#pong(frame);
    const isolate = this.#isolates.get(frame.isolate);
    // The frame crossed with the word that the isolate is gone: the host knows by then what did not enter.
    if (isolate === undefined) return undefined;
    switch (frame.type) {
      case FrameType.invoke:
        isolate.invoke(frame.id, frame.aux > 0 ? frame.aux : timeLeft(frame.head), frame.head, frame.body);
        break;
      case FrameType.cancel:
        if (frame.aux === CANCEL_ASKS) isolate.interrupt(frame.id);
        else isolate.cancel(frame.id);
        break;
      case FrameType.bridgeReply:
        isolate.bridgeReply(frame.id, frame.head, frame.body);
        break;
      case FrameType.configure:
        isolate.configure(frame.head);
        break;
      case FrameType.unload:
        isolate.unload(JSON.parse(frame.head) as Unload);
        break;
      default:
        break;
    }
    return isolate;
  }

  #load(frame: Frame): undefined {
    const context = this.#context!;
    const startedAt = context.now();
    const load = JSON.parse(frame.head) as Load;
    const code = frame.body.toString('utf8', 0, load.codeBytes);
    const map = frame.body.subarray(load.codeBytes);
    try {
      const isolate = new GuestIsolate(context, frame.isolate, load, map, startedAt);
      this.#isolates.set(frame.isolate, isolate);
      context.watchdog.add(isolate);
      void isolate.load(code);
    } catch (error) {
      const detail = `no isolate could be made: ${error instanceof Error ? error.message : String(error)}`;
      const head = JSON.stringify(failure('start_failed', detail));
      context.connection.send(FrameType.loadFailed, frame.isolate, 0, 0, head);
    }
  }

  #pong(frame: Frame): undefined {
    const pong: Pong = { isolates: [...this.#isolates.values()].map((isolate) => isolate.stats()) };
    this.#context!.connection.send(FrameType.pong, 0, frame.id, 0, JSON.stringify(pong));
  }
}

/** A host that does not give the time left in the frame gives the deadline in the head. */
function timeLeft(head: string): number {
  const { deadlineMs } = JSON.parse(head) as { deadlineMs?: number };
  return Math.max(0, (deadlineMs ?? Date.now()) - Date.now());
}
