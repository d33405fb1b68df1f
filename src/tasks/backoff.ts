/** Pause before the next execution after `failures` of them, in milliseconds: doubles up to `maxMs`. */
export const pauseMs = (failures: number, firstMs: number, maxMs: number): number =>
  Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
