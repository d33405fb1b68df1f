import type { Channel } from 'amqplib';
import type { Delivered } from './acks.ts';

/**
 * The AMQP library could not read a message's headers: it nests them on the stack, so tables in tables, thousands
 * deep, overflow it; and it knows not every type. The connection is lost then, before the message is ours to reject.
 */
export function isUndecodable(error: Error): boolean {
  return error instanceof RangeError || (error instanceof TypeError && error.message.includes('type tag'));
}

/** calm: nothing suspected. searching: messages are fetched one by one. found: the next one is the culprit. */
type Suspicion = 'calm' | 'searching' | 'found';

/**
 * Finds a message that breaks every connection it comes down, and takes it off the queue. After the first death
 * messages are fetched singly: the one that kills again is then at the queue's head, and is fetched a last time in
 * such a way that the broker forgets it at once.
 */
export class Prober {
  #suspicion: Suspicion = 'calm';
  #fetching = false;
  readonly #onRemoved: () => void;

  constructor(onRemoved: () => void) {
    this.#onRemoved = onRemoved;
  }

  onDown(error: Error): void {
    const whileFetching = this.#fetching;
    this.#fetching = false;
    if (!isUndecodable(error)) return;
    if (this.#suspicion === 'found' && whileFetching) {
      this.#suspicion = 'searching';
      this.#onRemoved();
    } else this.#suspicion = whileFetching ? 'found' : 'searching';
  }

  /**
   * Before consuming: nothing when calm; else fetches up to `limit` messages and hands them to `accept`
   * (`acked` false: the broker has forgotten this one already).
   */
  async probe(
    channel: Channel,
    queue: string,
    limit: number,
    accept: (message: Delivered, acked: boolean) => void,
  ): Promise<void> {
    for (let i = 0; this.#suspicion !== 'calm' && i < limit; i++) {
      const noAck = this.#suspicion === 'found';
      this.#fetching = true;
      const message = await channel.get(queue, { noAck });
      this.#fetching = false;
      if (message === false) break;
      // Somebody else has taken the culprit, or it has moved: look on.
      this.#suspicion = 'searching';
      accept(message, !noAck);
    }
    this.#suspicion = 'calm';
  }
}
