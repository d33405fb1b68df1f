/** Event and CustomEvent, after https://dom.spec.whatwg.org/#events, for targets without a tree: the path is the one target. */
import { sinceOrigin } from './runtime.ts';
import { exposeInterface, requireArguments, toDictionary, toDomString } from './webidl.ts';

export interface EventState {
  type: string;
  bubbles: boolean;
  cancelable: boolean;
  composed: boolean;
  target: object | null;
  currentTarget: object | null;
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
/** Whether it is an Event, by brand. */
let isEvent: (value: unknown) => value is Event;

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
    isEvent = (value): value is Event => typeof value === 'object' && value !== null && #state in value;
  }

  get type(): string {
    return this.#state.type;
  }
  get target(): object | null {
    return this.#state.target;
  }
  get srcElement(): object | null {
    return this.#state.target;
  }
  get currentTarget(): object | null {
    return this.#state.currentTarget;
  }
  composedPath(): object[] {
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

export { isEvent, stateOf as eventState };
