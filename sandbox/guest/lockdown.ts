/**
 * Takes away what must not be there: WebAssembly memory is not counted by the isolate's limit, and shared memory with
 * Atomics makes precise clocks and can block the isolate's thread. Runs before any tenant code.
 */
export function lockDown(target: object): void {
  for (const name of ['WebAssembly', 'SharedArrayBuffer', 'Atomics']) {
    if (!Reflect.deleteProperty(target, name)) throw new Error(`the isolate's ${name} can't be removed`);
  }
}
