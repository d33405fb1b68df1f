import type { Instance } from './instance.ts';

/** Who has less could use a good deal more than that before its runner's silence is noticed, which takes up to a third of a second. */
const LEAST_CPU_MS = 1_000;

/**
 * Which isolates may be entered on their runner's own thread (docs/decisions/inline-entries.md). A version that held its runner up until
 * it was killed may not again.
 */
export class InlineEntries {
  readonly #never = new Set<string>();

  allows({ key, deployment }: Pick<Instance, 'key' | 'deployment'>): boolean {
    const { limits, onProfile } = deployment;
    return limits.cpu_ms >= LEAST_CPU_MS && onProfile === undefined && !this.#never.has(key);
  }

  /** It held its runner up. */
  forbid(version: string): void {
    this.#never.add(version);
  }

  /** The version is retired. */
  forget(version: string): void {
    this.#never.delete(version);
  }
}
