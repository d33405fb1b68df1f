/** AbortController and AbortSignal, after https://dom.spec.whatwg.org/#aborting-ongoing-activities. */
import { DOMException } from './dom-exception.ts';
import { EventTarget, fireTrusted, handlerAttribute, setSignalHooks } from './event-target.ts';
import { hostOf } from './runtime.ts';
import { exposeInterface, requireArguments, toEnforcedUnsigned } from './webidl.ts';

/** The longest delay that a host timer takes; a longer timeout is as good as none (24 days). */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface SignalState {
  aborted: boolean;
  reason: unknown;
  dependent: boolean;
  /** Non-dependent signals that this one follows. Strong: a followed signal must live as long as its follower. */
  readonly sources: Set<AbortSignal>;
  /** Followers. Weak, so that a long-lived source does not collect one for each request; see `keep`. */
  readonly dependents: Set<WeakRef<AbortSignal>>;
  /** Followers that someone listens to, who may hold no other reference to them. */
  readonly kept: Set<AbortSignal>;
  algorithms: Set<() => void>;
}

let stateOf: (signal: AbortSignal) => SignalState;
let isSignal: (value: unknown) => value is AbortSignal;
/** Only this file makes signals: the public constructor throws. */
const making = Symbol('AbortSignal');

export class AbortSignal extends EventTarget {
  #state: SignalState = {
    aborted: false,
    reason: undefined,
    dependent: false,
    sources: new Set(),
    dependents: new Set(),
    kept: new Set(),
    algorithms: new Set(),
  };

  constructor(token?: unknown) {
    if (token !== making) throw new TypeError('Illegal constructor');
    super();
  }

  static {
    stateOf = (signal) => signal.#state;
    isSignal = (value): value is AbortSignal =>
      typeof value === 'object' && value !== null && #state in value;
  }

  static abort(reason: unknown = undefined): AbortSignal {
    const signal = new AbortSignal(making);
    const state = stateOf(signal);
    state.aborted = true;
    state.reason = reason === undefined ? aborted() : reason;
    return signal;
  }

  static timeout(milliseconds: unknown): AbortSignal {
    requireArguments(arguments.length, 1, 'AbortSignal.timeout');
    const delay = toEnforcedUnsigned(milliseconds, 'AbortSignal.timeout');
    const signal = new AbortSignal(making);
    hostOf().setTimer(
      () => signalAbort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError')),
      delay > LONGEST_TIMER_MS ? LONGEST_TIMER_MS : delay,
      false,
    );
    return signal;
  }

  static any(signals: unknown): AbortSignal {
    requireArguments(arguments.length, 1, 'AbortSignal.any');
    if (typeof signals !== 'object' || signals === null) {
      throw new TypeError('AbortSignal.any: the argument must be an iterable of AbortSignals.');
    }
    const given = [...(signals as Iterable<unknown>)];
    for (const signal of given) {
      if (!isSignal(signal)) throw new TypeError('AbortSignal.any: every element must be an AbortSignal.');
    }
    return dependentSignal(given as AbortSignal[]);
  }

  get aborted(): boolean {
    return this.#state.aborted;
  }

  get reason(): unknown {
    return this.#state.reason;
  }

  throwIfAborted(): void {
    const state = this.#state;
    if (state.aborted) throw state.reason;
  }

  override addEventListener(type: unknown, callback: unknown, options?: unknown): void {
    super.addEventListener(type, callback, options);
    keep(this);
  }
}
const onabort = handlerAttribute('abort');
Object.defineProperty(AbortSignal.prototype, 'onabort', {
  ...onabort,
  set(this: AbortSignal, value: unknown) {
    onabort.set?.call(this, value);
    keep(this);
  },
});
exposeInterface(AbortSignal, 'AbortSignal');

let signalFor: (controller: AbortController) => AbortSignal;

export class AbortController {
  #signal: AbortSignal = new AbortSignal(making);

  static {
    signalFor = (controller) => controller.#signal;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  abort(reason: unknown = undefined): void {
    signalAbort(this.#signal, reason === undefined ? aborted() : reason);
  }
}
exposeInterface(AbortController, 'AbortController');

export { isSignal };

/** A signal and the only function that can abort it; for the dispatcher's `request.signal`. */
export function newAbort(): { signal: AbortSignal; abort: (reason?: unknown) => void } {
  const signal = new AbortSignal(making);
  return { signal, abort: (reason) => signalAbort(signal, reason === undefined ? aborted() : reason) };
}

/** Aborts without going through a public, patchable method. */
export function abortController(controller: AbortController, reason: unknown): void {
  signalAbort(signalFor(controller), reason);
}

/** Runs `algorithm` at the abort, before listeners; gives a function that takes it off again. */
export function onAbort(signal: AbortSignal, algorithm: () => void): () => void {
  const state = stateOf(signal);
  if (state.aborted) {
    algorithm();
    return () => undefined;
  }
  state.algorithms.add(algorithm);
  keep(signal);
  return () => state.algorithms.delete(algorithm);
}

export function abortState(signal: AbortSignal): { readonly aborted: boolean; readonly reason: unknown } {
  return stateOf(signal);
}

/** https://dom.spec.whatwg.org/#create-a-dependent-abort-signal */
export function dependentSignal(signals: readonly AbortSignal[]): AbortSignal {
  const result = new AbortSignal(making);
  const state = stateOf(result);
  for (const signal of signals) {
    const source = stateOf(signal);
    if (source.aborted) {
      state.aborted = true;
      state.reason = source.reason;
      return result;
    }
  }
  state.dependent = true;
  const follower = new WeakRef(result);
  for (const signal of signals) {
    const roots = stateOf(signal).dependent ? stateOf(signal).sources : [signal];
    for (const root of roots) {
      if (state.sources.has(root)) continue;
      state.sources.add(root);
      const { dependents } = stateOf(root);
      for (const other of dependents) if (other.deref() === undefined) dependents.delete(other);
      dependents.add(follower);
    }
  }
  return result;
}

function aborted(): DOMException {
  return new DOMException('This operation was aborted', 'AbortError');
}

function keep(signal: AbortSignal): void {
  const state = stateOf(signal);
  if (!state.dependent || state.aborted) return;
  for (const source of state.sources) stateOf(source).kept.add(signal);
}

/** https://dom.spec.whatwg.org/#abortsignal-signal-abort: all states change first, then everybody is told. */
function signalAbort(signal: AbortSignal, reason: unknown): void {
  const state = stateOf(signal);
  if (state.aborted) return;
  state.aborted = true;
  state.reason = reason;
  const toTell = [signal];
  for (const reference of state.dependents) {
    const follower = reference.deref();
    if (follower === undefined || stateOf(follower).aborted) continue;
    stateOf(follower).aborted = true;
    stateOf(follower).reason = reason;
    toTell.push(follower);
  }
  state.dependents.clear();
  state.kept.clear();
  for (const each of toTell) {
    const { algorithms } = stateOf(each);
    stateOf(each).algorithms = new Set();
    for (const algorithm of algorithms) algorithm();
    fireTrusted(each, 'abort');
  }
}

setSignalHooks({
  isSignal,
  isAborted: (signal) => isSignal(signal) && stateOf(signal).aborted,
  addAlgorithm: (signal, run) => {
    if (isSignal(signal)) stateOf(signal).algorithms.add(run);
  },
});
