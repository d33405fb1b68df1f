/**
 * What the guest itself uses of the language's built-ins, taken before any tenant code exists. Tenants may replace
 * built-ins; these copies stay. They guard the messages to the runner, not the tenant against itself.
 */
export const JsonParse = JSON.parse;
export const JsonStringify = JSON.stringify;
export const DateNow = Date.now;
export const MathMin = Math.min;
export const MathMax = Math.max;
export const Uint8 = Uint8Array;
export const Int32 = Int32Array;
export const ObjectFreeze = Object.freeze;
export const ObjectKeys = Object.keys;
export const ObjectHasOwn = Object.hasOwn;
export const ObjectDefineProperty = Object.defineProperty;
export const ReflectApply = Reflect.apply;
export const StringFromCharCode = String.fromCharCode;
export const PlainError = Error;

type Method = (this: unknown, ...args: unknown[]) => unknown;
const methodOf = (prototype: object, name: string): Method => Reflect.get(prototype, name) as Method;
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const slice = methodOf(String.prototype, 'slice');
const startsWith = methodOf(String.prototype, 'startsWith');
const indexOf = methodOf(String.prototype, 'indexOf');
const set = methodOf(typedArray, 'set');

export const sliceText = (text: string, from: number, to: number): string =>
  ReflectApply(slice, text, [from, to]) as string;
export const startsText = (text: string, start: string): boolean =>
  ReflectApply(startsWith, text, [start]) as boolean;
export const indexInText = (text: string, part: string): number =>
  ReflectApply(indexOf, text, [part]) as number;
export const copyInto = (into: Uint8Array, from: Uint8Array): void => {
  ReflectApply(set, into, [from]);
};

const lengthOf = methodOf(Object.getOwnPropertyDescriptor(typedArray, 'length')!, 'get');
/** Elements of a typed array; 0 for one that was detached. Throws TypeError for anything else. */
export const arrayLength = (array: Uint8Array): number => ReflectApply(lengthOf, array, []) as number;

/** A map's methods as they are now, as own functions: tenants can replace those of the prototype. */
export function createTable<K, V>(): {
  readonly get: (key: K) => V | undefined;
  readonly set: (key: K, value: V) => void;
  readonly delete: (key: K) => void;
} {
  const map = new Map<K, V>();
  return { get: map.get.bind(map), set: map.set.bind(map), delete: map.delete.bind(map) };
}

const resolved = Promise.resolve();
// `await` looks at the promise's constructor, which is inherited, and so the tenant's to replace.
void ObjectDefineProperty(resolved, 'constructor', { value: Promise });

/** Runs `callback` as a microtask, behind those that are queued already. Nothing of it can be seen by a tenant. */
export async function soon(callback: () => void): Promise<void> {
  await resolved;
  callback();
}
