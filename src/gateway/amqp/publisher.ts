import type { Channel, ChannelModel, ConfirmChannel, Options } from 'amqplib';
import { encodePublish } from '../../amqp/publish-frames.ts';
import { batchWrites } from '../../amqp/write-batching.ts';
import { isDirectReplyTo } from './queue-name.ts';
import { SyncedChannel, type PublishingChannel } from './synced-channel.ts';
import { codeOf } from './topology.ts';

/** A reply on its way. */
export interface Outgoing {
  readonly replyTo: string;
  readonly body: Buffer;
  readonly options: Options.Publish;
  /** Called once. `refused` says why the broker, or the encoder, will never take it. */
  readonly done: (refused: string | undefined) => void;
}

interface Entry {
  readonly reply: Outgoing;
  /** Times that the broker closed the channel, or said nack, over this reply alone. */
  strikes: number;
  /** Was in flight when the broker refused something: it goes alone until the broker has it. */
  suspect: boolean;
}

/** Replies that wait for the broker take at most about this many bytes before no further handler is started. */
const CONGESTED_BYTES = 64 * 1024 * 1024;
const MAX_STRIKES = 2;

export interface PublisherOptions {
  /** It was congested, and no longer is. */
  readonly onRelief: () => void;
  /**
   * So many replies to requesters' own channels may wait a few milliseconds before the broker is asked whether it has them. Undefined:
   * nothing goes there, all is for queues.
   */
  readonly mostHeld?: number;
}

/** The ways out of one connection. */
interface Ways {
  readonly model: ChannelModel;
  readonly confirmed: ConfirmChannel;
  /** For replies that no queue holds: a confirm would promise no more. */
  readonly direct: SyncedChannel | undefined;
}

/**
 * Sends replies and waits until the broker has each. Replies survive the loss of the connection: what the broker was not
 * known to have is sent again on the next one, so that a caller may see a reply twice, but never none.
 */
export class Publisher {
  #ways: Ways | undefined;
  #pending: Entry[] = [];
  /** Sent on a channel that closed, in their order. */
  #lost: Entry[] = [];
  #inFlight = 0;
  #bytes = 0;
  #wasCongested = false;
  #suspectInFlight = false;
  readonly #options: PublisherOptions;
  #idle: (() => void)[] = [];

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Replies that the broker is not known to have. */
  get unconfirmed(): number {
    return this.#pending.length + this.#lost.length + this.#inFlight;
  }

  get congested(): boolean {
    if (this.#bytes > CONGESTED_BYTES) this.#wasCongested = true;
    return this.#wasCongested;
  }

  /** `setup` of the publishing link. */
  async attach(model: ChannelModel, fail: (error: Error) => void): Promise<void> {
    const watched = <C extends Channel>(channel: C): C => {
      channel.on('error', fail);
      channel.on('close', () => {
        if (this.#ways?.model === model) this.#ways = undefined;
        fail(new Error('publishing channel closed'));
      });
      return channel;
    };
    const confirmed = watched(await model.createConfirmChannel());
    batchWrites(model, confirmed);
    const { mostHeld } = this.#options;
    const direct =
      mostHeld === undefined
        ? undefined
        : new SyncedChannel(plainPublishing(model, watched(await model.createChannel())), mostHeld);
    this.#ways = { model, confirmed, direct };
    this.#pump();
  }

  /** `onDown` of the publishing link: `error` tells a refusal by the broker from mere bad luck. */
  detach(error: Error): void {
    this.#ways = undefined;
    const lost = this.#lost;
    this.#lost = [];
    const code = codeOf(error);
    // 320 is a forced closure, by an operator or a broker that stops; without a code the network failed.
    if (code !== undefined && code >= 300 && code !== 320) {
      for (const entry of lost) entry.suspect = true;
      const [only] = lost;
      if (lost.length === 1 && only !== undefined && ++only.strikes >= MAX_STRIKES) {
        this.#finish(only, error.message);
        return;
      }
    }
    this.#pending = [...lost, ...this.#pending];
  }

  send(reply: Outgoing): void {
    const entry: Entry = { reply, strikes: 0, suspect: false };
    this.#bytes += reply.body.length;
    if (this.#pending.length === 0 && this.#mayPublish(entry)) this.#publish(entry);
    else this.#pending.push(entry);
  }

  /** Resolves when the broker has every reply, or refused it. */
  whenIdle(): Promise<void> {
    if (this.unconfirmed === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #mayPublish(entry: Entry): boolean {
    if (!this.#ways) return false;
    return this.#inFlight === 0 || !(entry.suspect || this.#suspectInFlight);
  }

  #pump(): void {
    for (let next = this.#pending[0]; next && this.#mayPublish(next); next = this.#pending[0]) {
      this.#pending.shift();
      this.#publish(next);
    }
  }

  #publish(entry: Entry): void {
    const { replyTo, body, options } = entry.reply;
    const ways = this.#ways;
    const direct = isDirectReplyTo(replyTo) ? ways?.direct : undefined;
    const done = (error: Error | null): void => {
      this.#inFlight--;
      this.#suspectInFlight = false;
      if (error === null) {
        this.#finish(entry, undefined);
        if (this.#pending.length > 0) this.#pump();
      } else if (error.message === 'message nacked') this.#nacked(entry);
      else this.#lost.push(entry);
    };
    this.#inFlight++;
    this.#suspectInFlight = entry.suspect;
    try {
      if (direct) direct.publish(replyTo, body, options, done);
      else ways?.confirmed.publish('', replyTo, body, options, done);
      // Others wait until it is known what becomes of this one.
      if (entry.suspect) direct?.sync();
    } catch (error) {
      this.#inFlight--;
      this.#suspectInFlight = false;
      // Properties and headers that AMQP cannot hold throw a TypeError or RangeError; all else is the channel's end.
      if (error instanceof TypeError || error instanceof RangeError) this.#finish(entry, error.message);
      else this.#lost.push(entry);
    }
  }

  #nacked(entry: Entry): void {
    if (++entry.strikes >= MAX_STRIKES) this.#finish(entry, 'the broker could not take the reply (nack)');
    else this.#pending.push(entry);
    this.#pump();
  }

  #finish(entry: Entry, refused: string | undefined): void {
    this.#bytes -= entry.reply.body.length;
    entry.reply.done(refused);
    if (this.#wasCongested && this.#bytes < CONGESTED_BYTES / 2) {
      this.#wasCongested = false;
      this.#options.onRelief();
    }
    if (this.#idle.length > 0 && this.unconfirmed === 0) {
      const idle = this.#idle;
      this.#idle = [];
      for (const resolve of idle) resolve();
    }
  }
}

/** Most replies are plain: those are encoded here, for a fraction of what it costs amqplib. */
function plainPublishing(model: ChannelModel, channel: Channel): PublishingChannel {
  const writer = batchWrites(model, channel);
  return {
    publish(routingKey, body, options) {
      const frames = writer && encodePublish(writer.number, routingKey, body, options);
      if (frames) writer.write(frames);
      else channel.publish('', routingKey, body, options);
    },
    prefetch: (count) => channel.prefetch(count),
    on: (event, listener) => channel.on(event, listener),
  };
}
