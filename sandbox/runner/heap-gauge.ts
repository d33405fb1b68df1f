import type IsolatedVm from 'isolated-vm';

/** The size of an isolate's heap. Its own thread tells it: asked for when the isolate rests, and only after it ran. */
export class HeapGauge {
  readonly #isolate: IsolatedVm.Isolate;
  #stale = true;
  #bytes = 0;

  constructor(isolate: IsolatedVm.Isolate) {
    this.#isolate = isolate;
  }

  /** As it was last told; 0 before that. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The isolate runs: the figure will be another. */
  ran(): void {
    this.#stale = true;
  }

  /** Asks anew where there is something new to tell; not while an entry runs. */
  refresh(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#isolate.getHeapStatistics().then(
      (heap) => {
        this.#bytes = heap.used_heap_size + heap.externally_allocated_size;
      },
      () => {},
    );
  }
}
