/** Server-sent events over one reply, for readers that may be slow, or gone. WHATWG HTML, section 9.2. */
import type { FastifyReply } from 'fastify';

export interface EventStream {
  /** Passed over where the reader is too slow: never waits, and never holds more than `maxBufferedBytes`. */
  send(id: number, data: unknown): void;
  /** What could not even be offered: told with those that `send` has passed over. */
  miss(events: number): void;
  /** Calls `listener` once, however the stream ends; at once where it has ended. */
  onEnd(listener: () => void): void;
  /** Idempotent. */
  end(): void;
}

export interface EventStreamOptions {
  readonly heartbeatMs: number;
  readonly onMissed?: ((events: number) => void) | undefined;
  readonly maxBufferedBytes?: number | undefined;
}

const DEFAULT_BUFFERED_BYTES = 1024 * 1024;

export function openEventStream(
  reply: FastifyReply,
  { heartbeatMs, onMissed, maxBufferedBytes = DEFAULT_BUFFERED_BYTES }: EventStreamOptions,
): EventStream {
  const { raw } = reply.hijack();
  const listeners: (() => void)[] = [];
  let missed = 0;
  let ended = false;
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.write(': following\n\n');
  const miss = (events: number): void => {
    missed += events;
    onMissed?.(events);
  };
  const tellMissed = (): void => {
    if (missed > 0) raw.write(`event: missed\ndata: ${JSON.stringify({ lines: missed })}\n\n`);
    missed = 0;
  };
  // A dead connection is found out by writing to it; a reader that has caught up hears what it missed, though nothing new came.
  const heartbeat = setInterval(() => {
    if (raw.writableLength > 0) return;
    if (missed > 0) tellMissed();
    else raw.write(': alive\n\n');
  }, heartbeatMs);
  heartbeat.unref();

  const end = (): void => {
    if (ended) return;
    ended = true;
    clearInterval(heartbeat);
    for (const listener of listeners) listener();
    raw.end();
  };
  raw.once('close', end);
  raw.on('error', end);

  return {
    end,
    miss,
    onEnd(listener) {
      if (ended) listener();
      else listeners.push(listener);
    },
    send(id, data) {
      if (ended) return;
      if (raw.writableLength > maxBufferedBytes) {
        miss(1);
        return;
      }
      tellMissed();
      // JSON holds no line break outside its escapes, so one data line is enough.
      raw.write(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
    },
  };
}
