/**
 * Event, CustomEvent and EventTarget, after https://dom.spec.whatwg.org/#events, for targets without a tree: an
 * event has one target, and its path is that target alone.
 */
import { DOMException } from './dom-exception.ts';
import { report, sinceOrigin } from './runtime.ts';
import { exposeInterface, requireArguments, toDictionary, toDomString } from './webidl.ts';

interface EventState {
  type: string;
  bubbles: boolean;
  cancelable: boolean;
  composed: boolean;
  target: EventTarget | null;
  currentTarget: EventTarget | null;
  phase: number;
  dispatching: boolean;
  stop: boolean;
  stopNow: boolean;
  canceled: boolean;
  inPassive: boolean;
  initialized: boolean;
  trusted: boolean;
  timeStamp: number;
}

let stateOf: (event: Event) => EventState;

export class Event {
  #state: EventState;

  constructor(type: unknown, init?: unknown) {
    requireArguments(arguments.length, 1, 'Event constructor');
    const options = toDictionary(init, 'Event constructor');
    this.#state = {
      type: toDomString(type),
      bubbles: Boolean(options['bubbles']),
      cancelable: Boolean(options['cancelable']),
      composed: Boolean(options['composed']),
      target: null,
      currentTarget: null,
      phase: 0,
      dispatching: false,
      stop: false,
      stopNow: false,
      canceled: false,
      inPassive: false,
      initialized: true,
      trusted: false,
      timeStamp: sinceOrigin(),
    };
  }

  static {
    stateOf = (event) => event.#state;
  }

  get type(): string {
    return this.#state.type;
  }
  get target(): EventTarget | null {
    return this.#state.target;
  }
  get srcElement(): EventTarget | null {
    return this.#state.target;
  }
  get currentTarget(): EventTarget | null {
    return this.#state.currentTarget;
  }
  composedPath(): EventTarget[] {
    return this.#state.currentTarget === null ? [] : [this.#state.currentTarget];
  }
  get eventPhase(): number {
    return this.#state.phase;
  }
  stopPropagation(): void {
    this.#state.stop = true;
  }
  get cancelBubble(): boolean {
    return this.#state.stop;
  }
  set cancelBubble(value: unknown) {
    if (value) this.#state.stop = true;
  }
  stopImmediatePropagation(): void {
    this.#state.stop = true;
    this.#state.stopNow = true;
  }
  get bubbles(): boolean {
    return this.#state.bubbles;
  }
  get cancelable(): boolean {
    return this.#state.cancelable;
  }
  get returnValue(): boolean {
    return !this.#state.canceled;
  }
  set returnValue(value: unknown) {
    if (!value) this.preventDefault();
  }
  preventDefault(): void {
    if (this.#state.cancelable && !this.#state.inPassive) this.#state.canceled = true;
  }
  get defaultPrevented(): boolean {
    return this.#state.canceled;
  }
  get composed(): boolean {
    return this.#state.composed;
  }
  get isTrusted(): boolean {
    return this.#state.trusted;
  }
  get timeStamp(): number {
    return this.#state.timeStamp;
  }
  initEvent(type: unknown, bubbles: unknown = false, cancelable: unknown = false): void {
    requireArguments(arguments.length, 1, 'Event.initEvent');
    const state = this.#state;
    if (state.dispatching) return;
    state.type = toDomString(type);
    state.bubbles = Boolean(bubbles);
    state.cancelable = Boolean(cancelable);
    state.stop = state.stopNow = state.canceled = false;
    state.target = null;
  }
}
exposeInterface(Event, 'Event');
for (const [key, value] of [
  ['NONE', 0],
  ['CAPTURING_PHASE', 1],
  ['AT_TARGET', 2],
  ['BUBBLING_PHASE', 3],
] as const) {
  const fixed = { value, enumerable: true, configurable: false, writable: false };
  Object.defineProperty(Event, key, fixed);
  Object.defineProperty(Event.prototype, key, fixed);
}

export class CustomEvent extends Event {
  #detail: unknown;

  constructor(type: unknown, init?: unknown) {
    requireArguments(arguments.length, 1, 'CustomEvent constructor');
    super(type, init);
    this.#detail = toDictionary(init, 'CustomEvent constructor')['detail'] ?? null;
  }

  get detail(): unknown {
    return this.#detail;
  }
}
exposeInterface(CustomEvent, 'CustomEvent');

interface Listener {
  readonly type: string;
  readonly callback: object;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
  removed: boolean;
}

/** What EventTarget needs of an AbortSignal; set by abort.ts, which depends on this file and not the reverse. */
export interface SignalHooks {
  isSignal(value: unknown): boolean;
  isAborted(signal: object): boolean;
  addAlgorithm(signal: object, run: () => void): void;
}

let signals: SignalHooks | undefined;

export function setSignalHooks(hooks: SignalHooks): void {
  signals = hooks;
}

let listenersOf: (target: EventTarget) => Map<string, Listener[]>;

export class EventTarget {
  #listeners: Map<string, Listener[]> = new Map();

  static {
    listenersOf = (target) => target.#listeners;
  }

  addEventListener(type: unknown, callback: unknown, options?: unknown): void {
    requireArguments(arguments.length, 2, 'EventTarget.addEventListener');
    const name = toDomString(type);
    const { capture, once, passive, signal } = flatten(options);
    const all = this.#listeners;
    if (signal !== undefined && signals?.isSignal(signal) !== true) {
      throw new TypeError("EventTarget.addEventListener: 'signal' must be an AbortSignal.");
    }
    if (callback === null || callback === undefined) return;
    if (typeof callback !== 'function' && typeof callback !== 'object') {
      throw new TypeError('EventTarget.addEventListener: the listener must be a function or an object.');
    }
    if (signal !== undefined && signals?.isAborted(signal as object) === true) return;
    const list = all.get(name) ?? [];
    if (list.some((listener) => listener.callback === callback && listener.capture === capture)) return;
    const added: Listener = { type: name, callback, capture, once, passive, removed: false };
    all.set(name, [...list, added]);
    if (signal !== undefined) signals?.addAlgorithm(signal as object, () => remove(all, added));
  }

  removeEventListener(type: unknown, callback: unknown, options?: unknown): void {
    requireArguments(arguments.length, 2, 'EventTarget.removeEventListener');
    const name = toDomString(type);
    const capture = captureOf(options);
    const all = this.#listeners;
    const found = all
      .get(name)
      ?.find((listener) => listener.callback === callback && listener.capture === capture);
    if (found !== undefined) remove(all, found);
  }

  dispatchEvent(event: unknown): boolean {
    requireArguments(arguments.length, 1, 'EventTarget.dispatchEvent');
    // Reading the private field throws a TypeError for what is no EventTarget.
    const all = this.#listeners;
    if (!(event instanceof Event)) {
      throw new TypeError('EventTarget.dispatchEvent: the argument must be an Event.');
    }
    const state = stateOf(event);
    if (state.dispatching || !state.initialized) {
      throw new DOMException('The event is already being dispatched.', 'InvalidStateError');
    }
    state.trusted = false;
    return dispatch(this, all, event, state);
  }
}
exposeInterface(EventTarget, 'EventTarget');

/** Fires an event that the platform made (isTrusted), such as `abort`. */
export function fireTrusted(target: EventTarget, type: string): void {
  const event = new Event(type);
  const state = stateOf(event);
  state.trusted = true;
  dispatch(target, listenersOf(target), event, state);
}

export function hasListeners(target: EventTarget, type: string): boolean {
  return (listenersOf(target).get(type)?.length ?? 0) > 0;
}

/**
 * The accessor pair of an `on<type>` attribute. Its place among the listeners is where it was first set, as the
 * standard wants; setting it to something else keeps the place.
 */
export function handlerAttribute(type: string): PropertyDescriptor {
  const slots = new WeakMap<object, { handler: unknown }>();
  return {
    enumerable: true,
    configurable: true,
    get(this: EventTarget): unknown {
      listenersOf(this);
      return slots.get(this)?.handler ?? null;
    },
    set(this: EventTarget, value: unknown) {
      const all = listenersOf(this);
      const handler =
        typeof value === 'function' || (typeof value === 'object' && value !== null) ? value : null;
      const slot = slots.get(this);
      if (slot !== undefined) {
        slot.handler = handler;
        return;
      }
      if (handler === null) return;
      const made = { handler: handler as unknown };
      slots.set(this, made);
      const callback = function (this: unknown, event: Event): void {
        if (typeof made.handler !== 'function') return;
        if (Reflect.apply(made.handler, this, [event]) === false) event.preventDefault();
      };
      const added = { type, callback, capture: false, once: false, passive: false, removed: false };
      all.set(type, [...(all.get(type) ?? []), added]);
    },
  };
}

function dispatch(
  target: EventTarget,
  all: Map<string, Listener[]>,
  event: Event,
  state: EventState,
): boolean {
  state.dispatching = true;
  state.target = target;
  state.currentTarget = target;
  state.phase = 2;
  // The lists are replaced, never changed, so a listener added meanwhile does not run in this dispatch.
  const list = all.get(state.type) ?? [];
  for (const capture of [true, false]) {
    if (state.stop) break;
    for (const listener of list) {
      if (listener.removed || listener.capture !== capture) continue;
      if (listener.once) remove(all, listener);
      state.inPassive = listener.passive;
      try {
        invoke(listener.callback, target, event);
      } catch (error) {
        report(error);
      }
      state.inPassive = false;
      if (state.stopNow) break;
    }
    if (state.stopNow) break;
  }
  state.phase = 0;
  state.currentTarget = null;
  state.dispatching = false;
  state.stop = false;
  state.stopNow = false;
  return !state.canceled;
}

function invoke(callback: object, target: EventTarget, event: Event): void {
  if (typeof callback === 'function') {
    Reflect.apply(callback, target, [event]);
    return;
  }
  const handle = (callback as { handleEvent?: unknown }).handleEvent;
  if (typeof handle !== 'function') throw new TypeError('The listener object has no handleEvent function.');
  Reflect.apply(handle, callback, [event]);
}

function remove(all: Map<string, Listener[]>, listener: Listener): void {
  listener.removed = true;
  const rest = (all.get(listener.type) ?? []).filter((other) => other !== listener);
  if (rest.length === 0) all.delete(listener.type);
  else all.set(listener.type, rest);
}

function captureOf(options: unknown): boolean {
  if (typeof options === 'boolean') return options;
  if (typeof options !== 'object' || options === null) return Boolean(options);
  return Boolean((options as { capture?: unknown }).capture);
}

function flatten(options: unknown): { capture: boolean; once: boolean; passive: boolean; signal: unknown } {
  const capture = captureOf(options);
  if (typeof options !== 'object' || options === null) {
    return { capture, once: false, passive: false, signal: undefined };
  }
  const given = options as { once?: unknown; passive?: unknown; signal?: unknown };
  return { capture, once: Boolean(given.once), passive: Boolean(given.passive), signal: given.signal };
}
