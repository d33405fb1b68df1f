/**
 * structuredClone, after https://html.spec.whatwg.org/#structured-clone. Written here: the kept pure-JavaScript
 * packages either lose types (@ungap: shared buffers, DataView, error stacks) or weigh 140 KB (core-js).
 */
import { cloneRuleFor } from './cloneable.ts';
import { DOMException } from './dom-exception.ts';
import { getterOf, isArrayBuffer, methodOf, requireArguments, toDictionary } from './webidl.ts';

type Memory = Map<object, object>;

const tagOf = methodOf(Object.prototype, 'toString');
/** Each gives a value or throws for what has not the internal slot; none can be deceived by a prototype. */
const mapSize = getterOf(Map.prototype, 'size');
const setSize = getterOf(Set.prototype, 'size');
const regexpSource = getterOf(RegExp.prototype, 'source');
const regexpFlags = getterOf(RegExp.prototype, 'flags');
const getTime = methodOf(Date.prototype, 'getTime');
const weakMapHas = methodOf(WeakMap.prototype, 'has');
const weakSetHas = methodOf(WeakSet.prototype, 'has');
const weakRefDeref = methodOf(WeakRef.prototype, 'deref');
const mapForEach = methodOf(Map.prototype, 'forEach');
const setForEach = methodOf(Set.prototype, 'forEach');
const unboxers = [Boolean, Number, String, BigInt].map((kind) =>
  methodOf(kind.prototype as object, 'valueOf'),
);
const typedArrayTag = getterOf(Object.getPrototypeOf(Uint8Array.prototype) as object, Symbol.toStringTag);

/** Every kind of view, by the name that its internal slot gives. */
const VIEWS: Record<string, new (buffer: ArrayBuffer, offset: number, length?: number) => object> = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
};
const ERRORS: Record<string, new (message?: string) => Error> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};
/** Built-in objects that cannot be cloned and have no slot that can be looked at without side effects. */
const UNCLONEABLE = new Set([
  '[object Promise]',
  '[object Generator]',
  '[object AsyncGenerator]',
  '[object FinalizationRegistry]',
  '[object Map Iterator]',
  '[object Set Iterator]',
  '[object Array Iterator]',
  '[object String Iterator]',
  '[object Symbol]',
]);

export const cloneFunctions = {
  structuredClone(value: unknown, options?: unknown): unknown {
    requireArguments(arguments.length, 1, 'structuredClone');
    const transfer = toDictionary(options, 'structuredClone')['transfer'];
    if (transfer === undefined) return clone(value, new Map());
    if (typeof transfer !== 'object' || transfer === null) {
      throw new TypeError('structuredClone: transfer must be a sequence.');
    }
    return cloneAndTransfer(value, [...(transfer as Iterable<unknown>)]);
  },
};

/**
 * The standard serialises, then transfers, then deserialises, so that a failure detaches nothing. Here: clone
 * (which runs all getters, and may fail), transfer, then clone the clone with its copies of the transferred
 * buffers exchanged for the real ones.
 */
function cloneAndTransfer(value: unknown, transfer: readonly unknown[]): unknown {
  const seen = new Set<unknown>();
  const buffers: ArrayBuffer[] = [];
  for (const item of transfer) {
    if (!isArrayBuffer(item)) throw uncloneable('Value not transferable');
    if (seen.has(item)) throw uncloneable('ArrayBuffer occurs in the transfer list twice');
    if (item.detached) throw uncloneable('An ArrayBuffer is detached and could not be cloned.');
    seen.add(item);
    buffers.push(item);
  }
  const memory: Memory = new Map();
  const first = clone(value, memory);
  const second: Memory = new Map();
  for (const buffer of buffers) {
    const copy = memory.get(buffer);
    const moved = buffer.transfer();
    if (copy !== undefined) second.set(copy, moved);
  }
  return clone(first, second);
}

function clone(value: unknown, memory: Memory): unknown {
  if (typeof value === 'symbol') throw uncloneable(`${String(value)} could not be cloned.`);
  if (typeof value === 'function') throw uncloneable(`${String(value)} could not be cloned.`);
  if (typeof value !== 'object' || value === null) return value;
  const known = memory.get(value);
  if (known !== undefined) return known;
  if (Array.isArray(value)) return cloneArray(value, memory);
  const plain =
    Object.getPrototypeOf(value) === Object.prototype && !Object.hasOwn(value, Symbol.toStringTag);
  if (plain && Reflect.apply(tagOf, value, []) === '[object Object]' && !hasSlots(value)) {
    return cloneProperties(value, {}, memory);
  }
  return cloneExotic(value, memory);
}

/** An object whose prototype was set back to Object.prototype may still be a Map. Rare, so asked last. */
function hasSlots(value: object): boolean {
  return has(mapSize, value) || has(setSize, value) || ArrayBuffer.isView(value) || isArrayBuffer(value);
}

function has(probe: (...args: never[]) => unknown, value: object, args: unknown[] = []): boolean {
  try {
    Reflect.apply(probe, value, args);
    return true;
  } catch {
    return false;
  }
}

function cloneExotic(value: object, memory: Memory): object {
  const rule = cloneRuleFor(value);
  if (rule !== undefined) {
    if (rule.clone === undefined) throw uncloneable('The object could not be cloned.');
    return remember(memory, value, rule.clone(value));
  }
  if (ArrayBuffer.isView(value)) return cloneView(value, memory);
  if (isArrayBuffer(value)) return cloneBuffer(value, memory);
  if (has(getTime, value)) {
    return remember(memory, value, new Date(Reflect.apply(getTime, value, []) as number));
  }
  if (has(mapSize, value)) return cloneMap(value as Map<unknown, unknown>, memory);
  if (has(setSize, value)) return cloneSet(value as Set<unknown>, memory);
  const tag = Reflect.apply(tagOf, value, []) as string;
  if (isRegExp(value)) {
    const source = Reflect.apply(regexpSource, value, []) as string;
    const flags = Reflect.apply(regexpFlags, value, []) as string;
    return remember(memory, value, new RegExp(source, flags));
  }
  for (const unbox of unboxers) {
    if (has(unbox, value)) return remember(memory, value, Object(Reflect.apply(unbox, value, [])) as object);
  }
  if (tag === '[object Error]' || value instanceof Error) return cloneError(value as Error, memory);
  if (
    UNCLONEABLE.has(tag) ||
    tag.startsWith('[object Intl.') ||
    has(weakMapHas, value, [value]) ||
    has(weakSetHas, value, [value])
  ) {
    throw uncloneable(`#<${tag.slice(8, -1)}> could not be cloned.`);
  }
  if (has(weakRefDeref, value)) throw uncloneable('#<WeakRef> could not be cloned.');
  return cloneProperties(value, {}, memory);
}

/** RegExp.prototype.source answers for RegExp.prototype itself too, which is an ordinary object. */
function isRegExp(value: object): boolean {
  return value !== RegExp.prototype && has(regexpSource, value);
}

function remember<T extends object>(memory: Memory, original: object, copy: T): T {
  memory.set(original, copy);
  return copy;
}

function cloneProperties(value: object, into: object, memory: Memory): object {
  memory.set(value, into);
  for (const key of Object.keys(value)) {
    // A getter that ran before may have removed it.
    if (!Object.hasOwn(value, key)) continue;
    const copy = clone((value as Record<string, unknown>)[key], memory);
    if (key === '__proto__') {
      Object.defineProperty(into, key, { value: copy, writable: true, enumerable: true, configurable: true });
    } else {
      (into as Record<string, unknown>)[key] = copy;
    }
  }
  return into;
}

function cloneArray(value: unknown[], memory: Memory): unknown[] {
  const copy: unknown[] = [];
  copy.length = value.length;
  return cloneProperties(value, copy, memory) as unknown[];
}

function cloneMap(value: Map<unknown, unknown>, memory: Memory): Map<unknown, unknown> {
  const copy = remember(memory, value, new Map<unknown, unknown>());
  const entries: [unknown, unknown][] = [];
  Reflect.apply(mapForEach, value, [(item: unknown, key: unknown) => entries.push([key, item])]);
  for (const [key, item] of entries) copy.set(clone(key, memory), clone(item, memory));
  return copy;
}

function cloneSet(value: Set<unknown>, memory: Memory): Set<unknown> {
  const copy = remember(memory, value, new Set<unknown>());
  const items: unknown[] = [];
  Reflect.apply(setForEach, value, [(item: unknown) => items.push(item)]);
  for (const item of items) copy.add(clone(item, memory));
  return copy;
}

function cloneBuffer(value: ArrayBuffer, memory: Memory): ArrayBuffer {
  if (value.detached) throw uncloneable('An ArrayBuffer is detached and could not be cloned.');
  if (!value.resizable) return remember(memory, value, value.slice(0));
  const copy = new ArrayBuffer(value.byteLength, { maxByteLength: value.maxByteLength });
  new Uint8Array(copy).set(new Uint8Array(value));
  return remember(memory, value, copy);
}

function cloneView(value: ArrayBufferView, memory: Memory): object {
  const original = value.buffer as ArrayBuffer;
  const buffer = (memory.get(original) as ArrayBuffer | undefined) ?? cloneBuffer(original, memory);
  const name = Reflect.apply(typedArrayTag, value, []) as string | undefined;
  if (name === undefined) {
    return remember(memory, value, new DataView(buffer, value.byteOffset, value.byteLength));
  }
  const View = VIEWS[name];
  if (View === undefined) throw uncloneable(`#<${name}> could not be cloned.`);
  return remember(memory, value, new View(buffer, value.byteOffset, (value as Uint8Array).length));
}

/** Name, message, stack and cause; anything else on an error is dropped, as V8 does. */
function cloneError(value: Error, memory: Memory): Error {
  const name: unknown = value.name;
  const Kind = (typeof name === 'string' && Object.hasOwn(ERRORS, name) ? ERRORS[name] : undefined) ?? Error;
  const message = Object.getOwnPropertyDescriptor(value, 'message');
  const copy =
    message !== undefined && 'value' in message ? new Kind(`${message.value as string}`) : new Kind();
  memory.set(value, copy);
  const hidden = (key: string, held: unknown): void => {
    Object.defineProperty(copy, key, { value: held, writable: true, configurable: true, enumerable: false });
  };
  const stack: unknown = value.stack;
  if (typeof stack === 'string') hidden('stack', stack);
  const cause = Object.getOwnPropertyDescriptor(value, 'cause');
  if (cause !== undefined && 'value' in cause) hidden('cause', clone(cause.value, memory));
  return copy;
}

function uncloneable(message: string): DOMException {
  return new DOMException(message, 'DataCloneError');
}
