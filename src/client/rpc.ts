import { randomUUID } from 'node:crypto';
import type { ChannelModel, ConfirmChannel, Message, Options } from 'amqplib';
import { BrokerLink, toError, type TlsOptions } from '../amqp/connection.ts';
import { parseBrokerUrl, type BrokerUrl } from '../amqp/url.ts';
import { batchWrites } from '../amqp/write-batching.ts';
import { ConnectionLost, InvalidRequest, Timeout, Unroutable } from './rpc-errors.ts';
import { decodeReply, encodePayload, type RpcReply } from './rpc-payload.ts';

export * from './rpc-errors.ts';
export type { RpcReply } from './rpc-payload.ts';

export interface RpcClientOptions {
  /** `amqp://[user:password@]host[:port][/vhost][?connection_attempts=20&retry_delay=10&heartbeat=0]` */
  readonly url?: string | undefined;
  /** Of calls that give none, in milliseconds; 30,000 by default. */
  readonly timeoutMs?: number | undefined;
  /** Shown by the broker as the connection's name. */
  readonly name?: string | undefined;
  readonly tls?: TlsOptions | undefined;
}

export interface CallOptions {
  /** The broker drops the request after it, the lambda is told it as its deadline, and the call rejects with Timeout. */
  readonly timeoutMs?: number | undefined;
  /** By default `application/octet-stream` for bytes, `application/json` for all else. */
  readonly contentType?: string | undefined;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
  /** Gives the call up: it rejects with the signal's reason. The lambda may still run. */
  readonly signal?: AbortSignal | undefined;
}

interface Call {
  readonly id: string;
  readonly queue: string;
  readonly body: Buffer;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, unknown>> | undefined;
  readonly deadlineMs: number;
  /** How often the broker said that it did not take the request. */
  refusals: number;
  readonly resolve: (reply: RpcReply) => void;
  readonly reject: (error: Error) => void;
}

const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';
const DEFAULT_TIMEOUT_MS = 30_000;
/** Before a request that the broker did not take is sent again; twice as long each time. */
const FIRST_RESEND_MS = 10;
const MAX_RESEND_MS = 500;
/** Node's timers end there: 24.8 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Calls lambdas through their queues, over one connection that comes back by itself. Every call ends in one reply or
 * one error. Calls made while there is no connection wait for it, within their timeout.
 */
export class RpcClient {
  readonly #url: BrokerUrl;
  readonly #options: RpcClientOptions;
  readonly #prefix = randomUUID();
  #count = 0;
  /** Every call without its end, by correlation id, in the order of the calls. */
  readonly #calls = new Map<string, Call>();
  /** Those of them that wait for a connection. */
  readonly #unsent = new Set<Call>();
  #link: BrokerLink | undefined;
  #channel: ConfirmChannel | undefined;
  #closed = false;

  /** Connects on the first call, or by `connect`. Throws IsolambdaError `configuration` for a URL that cannot work. */
  constructor(options: RpcClientOptions = {}) {
    this.#options = options;
    this.#url = parseBrokerUrl(options.url);
  }

  /** Resolves when the first connection is made; rejects when the broker refuses it, or all `connection_attempts` failed. */
  async connect(): Promise<void> {
    if (this.#closed) throw new ConnectionLost('', 'the client was closed');
    if (this.#channel) return;
    if (this.#link) {
      // On its way already, or on its way back.
      await this.#link.start();
      return;
    }
    await this.#open();
  }

  /**
   * Sends `payload` to `queue` and returns the reply's value: bytes, or what its JSON holds.
   * Rejects with Unroutable, Timeout, LambdaError, ConnectionLost, InvalidRequest or InvalidReply.
   */
  async call(queue: string, payload: unknown, options: CallOptions = {}): Promise<unknown> {
    return decodeReply(queue, await this.request(queue, payload, options));
  }

  /** Like `call`, but returns the reply as it came, error replies included. */
  request(queue: string, payload: unknown, options: CallOptions = {}): Promise<RpcReply> {
    return new Promise((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      this.#check(queue, timeoutMs);
      options.signal?.throwIfAborted();
      const encoded = encodePayload(queue, payload, options.contentType);
      const id = `${this.#prefix}.${(this.#count++).toString(36)}`;
      const end = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        this.#calls.delete(id);
        this.#unsent.delete(call);
      };
      const call: Call = {
        id,
        queue,
        body: encoded.body,
        contentType: encoded.contentType,
        headers: options.headers,
        deadlineMs: Date.now() + timeoutMs,
        refusals: 0,
        resolve: (reply) => {
          end();
          resolve(reply);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const onAbort = (): void => call.reject(toError(options.signal?.reason));
      const timer = setTimeout(() => call.reject(new Timeout(queue, timeoutMs, call.refusals)), timeoutMs);
      options.signal?.addEventListener('abort', onAbort, { once: true });
      this.#calls.set(id, call);
      if (this.#channel) this.#send(this.#channel, call);
      else this.#sendLater(call);
    });
  }

  /** Calls without a reply reject with ConnectionLost; idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#channel = undefined;
    this.#failAll('the client was closed');
    await this.#link?.close();
  }

  #check(queue: string, timeoutMs: number): void {
    if (this.#closed) throw new ConnectionLost(queue, 'the client was closed');
    if (queue === '' || Buffer.byteLength(queue) > 255)
      throw new InvalidRequest(queue.slice(0, 255), 'a queue name has 1 to 255 bytes');
    if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS))
      throw new InvalidRequest(queue, `timeoutMs is ${timeoutMs}: give 1 to ${MAX_TIMEOUT_MS}`);
  }

  #sendLater(call: Call): void {
    this.#unsent.add(call);
    // Its failure reaches every call that waits, see #open.
    if (!this.#link) this.#open().catch(() => undefined);
  }

  async #open(): Promise<void> {
    const giveUp = (error: Error): void => {
      // The next call tries anew.
      if (this.#link === link) this.#link = undefined;
      this.#failAll(error.message, error);
    };
    const link = new BrokerLink({
      url: this.#url,
      name: this.#options.name ?? 'isolambda rpc client',
      setup: (model, fail) => this.#attach(model, fail),
      onDown: (error) => this.#detach(error),
      onFailed: giveUp,
      tls: this.#options.tls,
    });
    this.#link = link;
    try {
      await link.start();
    } catch (error) {
      giveUp(toError(error));
      throw error;
    }
  }

  async #attach(model: ChannelModel, fail: (error: Error) => void): Promise<void> {
    const channel = await model.createConfirmChannel();
    batchWrites(model, channel);
    channel.on('error', fail);
    channel.on('close', () => {
      if (this.#channel === channel) this.#channel = undefined;
      fail(new Error('channel closed'));
    });
    channel.on('return', (message: Message) => {
      const call = this.#calls.get(String(message.properties.correlationId));
      call?.reject(new Unroutable(call.queue));
    });
    // Direct reply-to wants the consumer before the first request, on the same channel, without acknowledgements.
    await channel.consume(
      DIRECT_REPLY_TO,
      (message) => {
        if (message) this.#reply(message);
        else fail(new Error('the broker cancelled the consumer of replies'));
      },
      { noAck: true },
    );
    this.#channel = channel;
    const unsent = [...this.#unsent];
    this.#unsent.clear();
    for (const call of unsent) this.#send(channel, call);
  }

  /** A reply address dies with its channel: what was sent on it can have no reply any more. */
  #detach(error: Error): void {
    this.#channel = undefined;
    for (const call of [...this.#calls.values()])
      if (!this.#unsent.has(call)) call.reject(new ConnectionLost(call.queue, error.message, error));
  }

  #send(channel: ConfirmChannel, call: Call): void {
    const nowMs = Date.now();
    const properties: Options.Publish = {
      replyTo: DIRECT_REPLY_TO,
      correlationId: call.id,
      contentType: call.contentType,
      // Unroutable comes back at once instead of never.
      mandatory: true,
      expiration: Math.max(1, Math.ceil(call.deadlineMs - nowMs)),
      timestamp: Math.floor(nowMs / 1_000),
      ...(call.headers === undefined ? {} : { headers: call.headers }),
    };
    try {
      channel.publish('', call.queue, call.body, properties, (error: Error | null) => {
        // Anything else is the channel's end, which its own event tells.
        if (error?.message === 'message nacked') this.#resend(call);
      });
    } catch (error) {
      // AMQP cannot hold such headers or properties. Any other error: the channel has closed, and the next one takes it.
      if (error instanceof TypeError || error instanceof RangeError)
        call.reject(new InvalidRequest(call.queue, error.message, error));
      else this.#sendLater(call);
    }
  }

  /**
   * The broker did not take the request. RabbitMQ routes to a quorum queue from before its members run: what comes then is neither
   * returned nor kept. A queue with a bound may refuse, too. Both pass.
   */
  #resend(call: Call): void {
    const delayMs = Math.min(MAX_RESEND_MS, FIRST_RESEND_MS * 2 ** call.refusals++);
    this.#unsent.add(call);
    setTimeout(() => {
      // Ended meanwhile; or a new connection has taken it along.
      if (!this.#unsent.has(call) || !this.#channel) return;
      this.#unsent.delete(call);
      this.#send(this.#channel, call);
    }, delayMs).unref();
  }

  #reply(message: Message): void {
    // A late reply, or the second one after a redelivery, finds nobody.
    const call = this.#calls.get(String(message.properties.correlationId));
    const { contentType } = message.properties as { contentType?: unknown };
    call?.resolve({
      body: message.content,
      contentType: typeof contentType === 'string' ? contentType : '',
      headers: message.properties.headers ?? {},
    });
  }

  #failAll(why: string, cause?: Error): void {
    for (const call of [...this.#calls.values()]) call.reject(new ConnectionLost(call.queue, why, cause));
  }
}
