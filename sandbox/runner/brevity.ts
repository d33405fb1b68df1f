/** CPU of an entry that is brief: what a runner that is held up for so long keeps waiting does not notice. */
const BRIEF_US = 5_000;
/** So many brief entries in a row are a habit; one that is not ends it. */
const HABIT = 64;

/** Whether a lambda's entries have been brief lately. */
export class Brevity {
  #inARow = 0;

  /** An entry has ended that used so many microseconds of CPU. */
  learn(us: number): void {
    this.#inARow = us <= BRIEF_US ? this.#inARow + 1 : 0;
  }

  get isHabit(): boolean {
    return this.#inARow >= HABIT;
  }
}
