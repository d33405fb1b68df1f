import { FreshIsolate, type IsolateParts } from './fresh-isolate.ts';

/** V8 needs as much for itself. */
const LEAST_MB = 8;

/**
 * Where isolates come from. The first one of a runner is made ahead, while the runner is a spare and nobody waits: that
 * is half of what a cold lambda waits for. Those that follow are made when they are asked for: an account that has one lambda
 * should not hold the memory of two.
 */
export class Nursery {
  readonly #parts: IsolateParts;
  readonly #die: (reason: string) => void;
  #ahead: FreshIsolate | undefined;

  /** `die` ends the process where V8 loses an isolate that has no lambda yet. */
  constructor(parts: IsolateParts, die: (reason: string) => void) {
    this.#parts = parts;
    this.#die = die;
  }

  /** Makes the first one ahead, with the heap that most lambdas have. What fails here fails again when it is asked for. */
  prepare(memoryMb: number): void {
    try {
      const fresh = new FreshIsolate(this.#parts, Math.max(LEAST_MB, memoryMb), false);
      fresh.onCatastrophe = () => this.#die('V8 gave up on an isolate that was made ahead');
      this.#ahead = fresh;
      fresh.open().catch(() => {
        if (this.#ahead === fresh) this.#ahead = undefined;
      });
    } catch {
      this.#ahead = undefined;
    }
  }

  /** A heap's limit can't be changed: what was made ahead with another is dropped. Throws where V8 can't make an isolate. */
  take(memoryMb: number, inspector: boolean): FreshIsolate {
    const least = Math.max(LEAST_MB, memoryMb);
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead?.memoryMb === least && !inspector && !ahead.isolate.isDisposed) return ahead;
    if (ahead && !ahead.isolate.isDisposed) ahead.isolate.dispose();
    return new FreshIsolate(this.#parts, least, inspector);
  }
}
