/** setTimeout, setInterval, their clear functions and queueMicrotask over the host's timers. */
import { hostOf, report } from './runtime.ts';

const LONGEST_MS = 2 ** 31 - 1;

/** As Node does it: what is no delay from 1 to 2^31-1 becomes 1 ms; fractions are cut off. */
function toDelay(value: unknown): number {
  const delay = Math.trunc(Number(value));
  return delay >= 1 && delay <= LONGEST_MS ? delay : 1;
}

function start(name: string, callback: unknown, delay: unknown, args: unknown[], repeat: boolean): number {
  if (typeof callback !== 'function') {
    throw new TypeError(
      `${name}: the callback must be a function, not ${callback === null ? 'null' : typeof callback}.`,
    );
  }
  // The closure takes no arguments and has no `this`, so that nothing of the host's reaches the callback.
  return hostOf().setTimer(() => void Reflect.apply(callback, undefined, args), toDelay(delay), repeat);
}

function stop(id: unknown): void {
  const number = typeof id === 'object' && id !== null ? Number.NaN : Number(id);
  if (Number.isInteger(number) && number > 0) hostOf().clearTimer(number);
}

/** Awaiting it takes one turn of the microtask queue, whatever was done to Promise.prototype. */
const settled = Promise.resolve();

async function inMicrotask(callback: () => unknown): Promise<void> {
  await settled;
  try {
    callback();
  } catch (error) {
    report(error);
  }
}

/** Method shorthands, because they cannot be called with `new` and keep their names when minified. */
export const timerFunctions = {
  setTimeout(callback: unknown, delay?: unknown, ...args: unknown[]): number {
    return start('setTimeout', callback, delay, args, false);
  },
  setInterval(callback: unknown, delay?: unknown, ...args: unknown[]): number {
    return start('setInterval', callback, delay, args, true);
  },
  clearTimeout(id?: unknown): void {
    stop(id);
  },
  clearInterval(id?: unknown): void {
    stop(id);
  },
  queueMicrotask(callback: unknown): void {
    if (typeof callback !== 'function') {
      throw new TypeError(`queueMicrotask: the callback must be a function, not ${typeof callback}.`);
    }
    void inMicrotask(() => Reflect.apply(callback, undefined, []));
  },
};
