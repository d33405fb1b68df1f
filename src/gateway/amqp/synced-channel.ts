import type { Options } from 'amqplib';
import { HOLD_MS } from './hold.ts';

type Done = (error: Error | null) => void;

/** What is used of a channel. */
export interface PublishingChannel {
  /** To the default exchange. Throws as amqplib's does. */
  publish(routingKey: string, body: Buffer, options: Options.Publish): void;
  prefetch(count: number): Promise<unknown>;
  on(event: 'close', listener: () => void): unknown;
}

/** No limit; a channel that does not consume has no use for one. */
const NO_PREFETCH = 0;

/**
 * Tells when the broker has what was published, without a confirm of each message: a broker reads a channel in order, so its answer to one
 * request proves that it has routed all that went before. One round trip stands for all replies of a few milliseconds, where
 * each confirm cost work here and there. It proves no more than that: what a queue must not lose needs a confirm
 * (docs/decisions/direct-replies-without-confirms.md).
 */
export class SyncedChannel {
  readonly #channel: PublishingChannel;
  readonly #mostHeld: number;
  /** Published since the last request, in order. */
  #sent: Done[] = [];
  /** Published before the request that is under way. */
  #asked: Done[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `mostHeld`: so many messages may wait a few milliseconds for others before the broker is asked. */
  constructor(channel: PublishingChannel, mostHeld: number) {
    this.#channel = channel;
    this.#mostHeld = mostHeld;
    channel.on('close', () => this.#lose(new Error('channel closed')));
  }

  /** `done` is called once: with null when the broker has it, with an error when the channel closed before. Throws where it can't be sent. */
  publish(routingKey: string, body: Buffer, options: Options.Publish, done: Done): void {
    this.#channel.publish(routingKey, body, options);
    this.#sent.push(done);
    this.#syncOrHold();
  }

  /** Asks now. Only one request is under way at a time: what is sent meanwhile waits for the next. */
  sync(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#asked.length > 0 || this.#sent.length === 0) return;
    this.#asked = this.#sent;
    this.#sent = [];
    this.#channel.prefetch(NO_PREFETCH).then(
      () => this.#answered(),
      (error: Error) => this.#lose(error),
    );
  }

  #answered(): void {
    const asked = this.#asked;
    this.#asked = [];
    for (const done of asked) done(null);
    if (this.#sent.length > 0) this.#syncOrHold();
  }

  #syncOrHold(): void {
    if (this.#sent.length > this.#mostHeld) this.sync();
    else this.#timer ??= setTimeout(() => this.sync(), HOLD_MS);
  }

  #lose(error: Error): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lost = [...this.#asked, ...this.#sent];
    this.#asked = [];
    this.#sent = [];
    for (const done of lost) done(error);
  }
}
