/**
 * Takes away what must not be there: WebAssembly memory is not counted by the isolate's limit, and shared memory with
 * Atomics makes precise clocks and can block the isolate's thread. Runs before any tenant code.
 */
export function lockDown(target: object): void {
  for (const name of ['WebAssembly', 'SharedArrayBuffer', 'Atomics']) {
    if (!Reflect.deleteProperty(target, name)) throw new Error(`the isolate's ${name} can't be removed`);
  }
  fixBufferLengths(target);
}

/**
 * Buffers that grow take their pages past the isolate's allocator, which counts and bounds all others: 272 MiB were taken in
 * an isolate of 32. So `maxByteLength` is refused. The engine's own constructor stays out of reach: its prototype,
 * by which alone it could be found, names the one that stands in for it.
 */
function fixBufferLengths(target: object): void {
  const Native = ArrayBuffer;
  const { construct } = Reflect;
  const TypeErrorClass = TypeError;
  function FixedArrayBuffer(this: unknown, length?: number, options?: { maxByteLength?: unknown }): object {
    if (new.target === undefined) throw new TypeErrorClass("Constructor ArrayBuffer requires 'new'");
    if (typeof options === 'object' && options !== null && options.maxByteLength !== undefined)
      throw new TypeErrorClass('maxByteLength: buffers of a changing length are not allowed here');
    return construct(Native, [length], new.target) as object;
  }
  Object.defineProperties(FixedArrayBuffer, {
    ...Object.getOwnPropertyDescriptors(Native),
    name: { value: 'ArrayBuffer', configurable: true },
  });
  Object.defineProperty(Native.prototype, 'constructor', {
    value: FixedArrayBuffer,
    writable: true,
    configurable: true,
  });
  Object.defineProperty(target, 'ArrayBuffer', {
    value: FixedArrayBuffer,
    writable: true,
    configurable: true,
  });
}
