/** The middle of the sorted values; of two middles, the mean. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Linear between the nearest ranks; `q` from 0 to 1. */
export function percentile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}
