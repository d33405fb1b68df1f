import { FrameError } from '../protocol/frame.ts';

/** Pings of one runner that have no answer yet. Frames keep their order: a pong says that all sent before its ping has been seen. */
export class Pings {
  readonly #pings = new Map<number, () => void>();
  #lastId = 0;

  /** The id to send. */
  expect(onPong: () => void): number {
    this.#lastId = this.#lastId === 0xffffffff ? 1 : this.#lastId + 1;
    this.#pings.set(this.#lastId, onPong);
    return this.#lastId;
  }

  /** What to do now that it is answered. Throws a `FrameError` where nobody asked. */
  answered(id: number): () => void {
    const onPong = this.#pings.get(id);
    if (!onPong) throw new FrameError(`nobody sent ping ${id}`);
    this.#pings.delete(id);
    return onPong;
  }

  clear(): void {
    this.#pings.clear();
  }
}
