/** EventTarget, after https://dom.spec.whatwg.org/#interface-eventtarget, for targets without a tree. */
import { DOMException } from './dom-exception.ts';
import { Event, eventState, isEvent } from './event.ts';
import type { EventState } from './event.ts';
import { report } from './runtime.ts';
import { exposeInterface, requireArguments, toDomString } from './webidl.ts';

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
    if (!isEvent(event)) {
      throw new TypeError('EventTarget.dispatchEvent: the argument must be an Event.');
    }
    const state = eventState(event);
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
  const state = eventState(event);
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
