/**
 * The small part of Web IDL (https://webidl.spec.whatwg.org) that classes written here share: how arguments are
 * converted, and how an interface looks from outside (enumerable members, a string tag, a stable name).
 */

type Constructor = abstract new (...args: never[]) => object;

/** Gives a class the looks of an interface; the name is set by hand because a minifier may have changed it. */
export function exposeInterface(ctor: Constructor, name: string): void {
  Object.defineProperty(ctor, 'name', { value: name, configurable: true });
  const prototype = ctor.prototype as object;
  for (const key of Object.getOwnPropertyNames(prototype)) {
    if (key !== 'constructor') Object.defineProperty(prototype, key, { enumerable: true });
  }
  for (const key of Object.getOwnPropertyNames(ctor)) {
    if (key !== 'prototype' && key !== 'name' && key !== 'length') {
      Object.defineProperty(ctor, key, { enumerable: true });
    }
  }
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
}

/** Gives classes of a library the names that they are exported by: bundling may have put a number behind them. */
export function nameClasses(classes: object): void {
  for (const [name, value] of Object.entries(classes)) {
    if (typeof value === 'function')
      Object.defineProperty(value, 'name', { value: name, configurable: true });
  }
}

/** Throws the TypeError that an interface's method gives for too few arguments. */
export function requireArguments(given: number, needed: number, what: string): void {
  if (given < needed) {
    throw new TypeError(
      `${what}: ${needed} argument${needed === 1 ? '' : 's'} required, but only ${given} present`,
    );
  }
}

/** DOMString: what `String()` gives, except that a symbol is a TypeError. */
export function toDomString(value: unknown): string {
  // A template literal refuses symbols, which String() would describe.
  return typeof value === 'string' ? value : `${value as string}`;
}

/** USVString: lone surrogates become U+FFFD. */
export function toUsvString(value: unknown): string {
  return toDomString(value).toWellFormed();
}

/** ByteString: a character above U+00FF is a TypeError. */
export function toByteString(value: unknown, what: string): string {
  const text = toDomString(value);
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 255) {
      throw new TypeError(
        `${what}: the character at index ${i} has a value of ${text.charCodeAt(i)} which is greater than 255.`,
      );
    }
  }
  return text;
}

/** unsigned long long with [EnforceRange], as `AbortSignal.timeout` takes it. */
export function toEnforcedUnsigned(value: unknown, what: string): number {
  const number = Number(value);
  const whole = Math.trunc(number);
  if (!Number.isFinite(number) || whole < 0 || whole > Number.MAX_SAFE_INTEGER) {
    throw new TypeError(`${what}: ${String(value)} is not a whole number of 0 to 2^53-1.`);
  }
  return whole === 0 ? 0 : whole;
}

/** A dictionary argument: undefined and null are an empty one, any other primitive is a TypeError. */
export function toDictionary(value: unknown, what: string): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' && typeof value !== 'function') {
    throw new TypeError(`${what}: the options must be an object, not ${typeof value}.`);
  }
  return value as Record<string, unknown>;
}

/** True for ArrayBuffer, typed arrays and DataView (BufferSource); the isolate has no SharedArrayBuffer. */
export function isBufferSource(value: unknown): value is ArrayBuffer | ArrayBufferView {
  return ArrayBuffer.isView(value) || isArrayBuffer(value);
}

/**
 * A method of a prototype as it is now, for `Reflect.apply` later: what a tenant changes afterwards has no effect.
 */
export function methodOf(prototype: object, name: PropertyKey): (...args: never[]) => unknown {
  const method: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value;
  if (typeof method !== 'function') throw new Error(`no method ${String(name)}`);
  return method as (...args: never[]) => unknown;
}

/** The same for an accessor's getter. */
export function getterOf(prototype: object, name: PropertyKey): () => unknown {
  const accessor = Object.getOwnPropertyDescriptor(prototype, name) as { get?: unknown } | undefined;
  if (typeof accessor?.get !== 'function') throw new Error(`no accessor ${String(name)}`);
  return accessor.get as () => unknown;
}

const byteLengthOf = getterOf(ArrayBuffer.prototype, 'byteLength');

/** By internal slot, so that neither a subclass nor a changed prototype deceives it. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  if (typeof value !== 'object' || value === null) return false;
  try {
    Reflect.apply(byteLengthOf, value, []);
    return true;
  } catch {
    return false;
  }
}

/** The bytes of a BufferSource, shared, not copied. */
export function bytesOf(source: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
  }
  return new Uint8Array(source);
}

/** The bytes of a BufferSource as they are now: later writes of the caller do not show. */
export function copyBytes(source: ArrayBuffer | ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytesOf(source));
}
