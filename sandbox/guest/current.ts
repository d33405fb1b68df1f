import { Marker, TOUCHED_MAX } from '../bridge/wire.ts';

/**
 * Which invocation runs. Known while a message of it is being handled, and in the microtasks behind an entry that
 * touched only one invocation; else 0. The runner's watchdog reads it from shared memory.
 */
export interface Current {
  /** A batch begins. */
  begin(): void;
  /** What runs from here on belongs to this invocation; 0 for none. */
  enter(invocation: number): void;
  /** The batch's last item was handled: what follows are microtasks of all that it touched. */
  end(): void;
  readonly id: () => number;
}

export function createCurrent(marker: Int32Array): Current {
  let current = 0;
  let touched = 0;
  let only = 0;
  return {
    begin() {
      current = 0;
      touched = 0;
      only = 0;
    },
    enter(invocation) {
      current = invocation;
      marker[Marker.running] = invocation;
      // Several messages of one invocation behind each other are one touch; a list with repeats only weighs unevenly.
      if (touched > 0 && invocation === only) return;
      if (touched < TOUCHED_MAX) marker[Marker.firstTouched + touched] = invocation;
      touched++;
      only = invocation;
      marker[Marker.touched] = touched;
    },
    end() {
      current = touched === 1 ? only : 0;
      marker[Marker.running] = current;
    },
    id: () => current,
  };
}
