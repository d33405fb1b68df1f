/** `entries`, `keys`, `values` and `forEach` of an interface that iterates over pairs, such as Headers and FormData. */
import { requireArguments } from './webidl.ts';

type Pair = readonly [name: string, value: unknown];
type Kind = 'entries' | 'keys' | 'values';

const iteratorPrototype = Object.getPrototypeOf(
  Object.getPrototypeOf([][Symbol.iterator]()) as object,
) as object;

/**
 * Adds them to `prototype`. `pairsOf` throws a TypeError for a foreign `this`; it is asked again at each step, so
 * that an iterator sees changes made meanwhile, as the standard wants.
 */
export function iteratePairs<T extends object>(
  prototype: T,
  name: string,
  pairsOf: (target: T) => readonly Pair[],
): void {
  const steps = new WeakMap<object, { target: T; kind: Kind; index: number }>();
  const iterators = Object.create(iteratorPrototype, {
    next: {
      configurable: true,
      enumerable: true,
      writable: true,
      value: function next(this: object): IteratorResult<unknown, undefined> {
        const step = steps.get(this);
        if (step === undefined) throw new TypeError(`next: this is no ${name} Iterator`);
        const pair = pairsOf(step.target)[step.index];
        if (pair === undefined) return { value: undefined, done: true };
        step.index++;
        const value = step.kind === 'entries' ? [...pair] : step.kind === 'keys' ? pair[0] : pair[1];
        return { value, done: false };
      },
    },
    [Symbol.toStringTag]: { value: `${name} Iterator`, configurable: true },
  }) as object;
  const start = (target: T, kind: Kind): object => {
    pairsOf(target);
    const iterator = Object.create(iterators) as object;
    steps.set(iterator, { target, kind, index: 0 });
    return iterator;
  };
  const methods = {
    entries(this: T): object {
      return start(this, 'entries');
    },
    keys(this: T): object {
      return start(this, 'keys');
    },
    values(this: T): object {
      return start(this, 'values');
    },
    forEach(this: T, callback: unknown, thisArgument?: unknown): void {
      pairsOf(this);
      requireArguments(arguments.length, 1, `${name}.forEach`);
      if (typeof callback !== 'function')
        throw new TypeError(`${name}.forEach: the callback must be a function.`);
      for (let i = 0; ; i++) {
        const pair = pairsOf(this)[i];
        if (pair === undefined) return;
        Reflect.apply(callback, thisArgument, [pair[1], pair[0], this]);
      }
    },
  };
  for (const [key, value] of Object.entries(methods)) {
    Object.defineProperty(prototype, key, { value, configurable: true, enumerable: true, writable: true });
  }
  Object.defineProperty(prototype, Symbol.iterator, {
    value: (prototype as { entries?: unknown }).entries,
    configurable: true,
    enumerable: false,
    writable: true,
  });
}
