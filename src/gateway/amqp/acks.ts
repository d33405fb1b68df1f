import type { Channel, ConsumeMessage, GetMessage, Message } from 'amqplib';
import { HOLD_MS, mostHeld } from './hold.ts';

export type Verdict = 'ack' | 'reject' | 'requeue';

/** The next flush sends the verdict; `sent`: done out of turn, before an earlier tag. */
type State = Verdict | 'sent';

/**
 * Verdicts on the deliveries of one channel, sent in groups: what piled up goes as one acknowledgement of "all up to", as
 * far as it is contiguous, and one by one beyond a gap. Acknowledgements wait for others a few milliseconds, or until they are an
 * eighth of the prefetch; a rejection goes at the end of the turn. A crash meanwhile has their messages delivered again.
 */
export class AckWindow {
  readonly #channel: Pick<Channel, 'ack' | 'nack'>;
  readonly #states = new Map<number, State>();
  /** The least tag without a verdict sent. Tags of a channel begin with 1 and have no gaps. */
  #low = 1;
  #fresh: number[] = [];
  readonly #mostHeld: number;
  #timer: NodeJS.Timeout | undefined;
  #scheduled = false;
  #closed = false;

  /** `prefetch`: deliveries that may be open at once. */
  constructor(channel: Pick<Channel, 'ack' | 'nack'>, prefetch: number) {
    this.#channel = channel;
    this.#mostHeld = mostHeld(prefetch);
  }

  /** The channel is gone: the broker has taken every open delivery back, and its tags mean nothing now. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#states.clear();
    this.#fresh = [];
  }

  get closed(): boolean {
    return this.#closed;
  }

  settle(tag: number, verdict: Verdict): void {
    if (this.#closed) return;
    this.#states.set(tag, verdict);
    this.#fresh.push(tag);
    if (verdict === 'ack' && this.#fresh.length <= this.#mostHeld) {
      this.#timer ??= setTimeout(() => this.flush(), HOLD_MS);
      return;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** A delivery that needs no verdict, but has a tag like the others. */
  skip(tag: number): void {
    if (this.#closed) return;
    this.#states.set(tag, 'sent');
    this.#sweepSent();
  }

  /** Sends every verdict that waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed || this.#fresh.length === 0) return;
    const fresh = this.#fresh;
    this.#fresh = [];
    try {
      this.#sendPrefix();
      for (const tag of fresh) {
        const verdict = this.#states.get(tag);
        if (verdict === undefined || verdict === 'sent') continue;
        this.#sendOne(tag, verdict);
        // Below #low nothing is remembered.
        if (tag >= this.#low) this.#states.set(tag, 'sent');
      }
      this.#sweepSent();
    } catch {
      // The channel closed under us: the broker redelivers, and the link sees the closure by itself.
      this.close();
    }
  }

  /** One frame for the contiguous acknowledgements from the lowest open tag on. */
  #sendPrefix(): void {
    let tag = this.#low;
    let last = 0;
    for (
      let state = this.#states.get(tag);
      state === 'ack' || state === 'sent';
      state = this.#states.get(++tag)
    ) {
      // The frame must name a tag that is still open: the broker closes the channel over any other.
      if (state === 'ack') last = tag;
      this.#states.delete(tag);
    }
    this.#low = tag;
    if (last > 0) this.#channel.ack(messageOf(last), true);
  }

  #sendOne(tag: number, verdict: Verdict): void {
    if (verdict === 'ack') this.#channel.ack(messageOf(tag), false);
    else this.#channel.nack(messageOf(tag), false, verdict === 'requeue');
  }

  #sweepSent(): void {
    while (this.#states.get(this.#low) === 'sent') this.#states.delete(this.#low++);
  }
}

const NOTHING = Buffer.alloc(0);
const NO_PROPERTIES: Message['properties'] = Object.freeze({
  contentType: undefined,
  contentEncoding: undefined,
  headers: undefined,
  deliveryMode: undefined,
  priority: undefined,
  correlationId: undefined,
  replyTo: undefined,
  expiration: undefined,
  messageId: undefined,
  timestamp: undefined,
  type: undefined,
  userId: undefined,
  appId: undefined,
  clusterId: undefined,
});

/** amqplib acknowledges messages and reads only their tag: so the real one need not be kept for it. */
function messageOf(deliveryTag: number): Message {
  return {
    content: NOTHING,
    fields: { deliveryTag, redelivered: false, exchange: '', routingKey: '' },
    properties: NO_PROPERTIES,
  };
}

export type Delivered = ConsumeMessage | GetMessage;
