/**
 * Globals that cost nothing until they are touched: an accessor that replaces itself by an ordinary data property
 * (writable, configurable, not enumerable, like any global class) on first reading or writing.
 */
import { globalsHidden } from './runtime.ts';

/**
 * Defines `names` on `target`; `load` runs on the first reading of any of them and gives an object that has them all.
 */
export function defineLazy(target: object, names: readonly string[], load: () => unknown): void {
  for (const name of names) {
    const settle = (value: unknown): void => {
      Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
    };
    Object.defineProperty(target, name, {
      configurable: true,
      enumerable: false,
      get(): unknown {
        if (globalsHidden()) return undefined;
        const value = (load() as Record<string, unknown>)[name];
        settle(value);
        return value;
      },
      set(value: unknown) {
        settle(value);
      },
    });
  }
}
