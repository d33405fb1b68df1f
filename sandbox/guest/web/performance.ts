/** performance (now, timeOrigin) and navigator. The clock is the host's coarse one, against timing attacks. */
import { sinceOrigin, timeOrigin } from './runtime.ts';
import { exposeInterface } from './webidl.ts';

const making = Symbol('Performance');

export class Performance {
  #made: true;

  constructor(token?: unknown) {
    if (token !== making) throw new TypeError('Illegal constructor');
    this.#made = true;
  }

  get timeOrigin(): number {
    void this.#made;
    return timeOrigin();
  }

  now(): number {
    void this.#made;
    return sinceOrigin();
  }

  toJSON(): { timeOrigin: number } {
    void this.#made;
    return { timeOrigin: timeOrigin() };
  }
}
exposeInterface(Performance, 'Performance');

export const performance = new Performance(making);

export class Navigator {
  #made: true;

  constructor(token?: unknown) {
    if (token !== making) throw new TypeError('Illegal constructor');
    this.#made = true;
  }

  get userAgent(): string {
    void this.#made;
    return 'isolambda';
  }
}
exposeInterface(Navigator, 'Navigator');

export const navigator = new Navigator(making);
