/** Logs of a lambda: stored lines, and new ones as they come. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  LogList,
  LogQuery,
  PAGE_SIZE,
  ref,
  type LogQuery as Query,
  type LogRecord,
} from '../schemas/index.ts';
import { ownLambda } from './asker.ts';
import { openEventStream, type EventStream } from './event-stream.ts';
import type { LogFilter, LogReader, ManagementApiOptions, StoredLine } from './options.ts';
import { present } from './present.ts';
import { LambdaPath, replies } from './route-schema.ts';
import { epochMs, timestamp } from './time.ts';

const HEARTBEAT_MS = 15_000;
/** New lines that may wait while a follower's stored ones are read. */
const MAX_WAITING = 10_000;

export const logRoutes: FastifyPluginAsyncTypebox<ManagementApiOptions> = async (
  app,
  { registry, logs, onLogMissed, heartbeatMs = HEARTBEAT_MS },
) => {
  /** Who follows which lambda: they are let go when it is deleted, or the host stops. */
  const followers = new Map<EventStream, string>();
  const stopListening = registry.on('lambdaDeleted', ({ lambda }) => {
    for (const [stream, lambdaId] of followers) if (lambdaId === lambda.id) stream.end();
  });
  app.addHook('preClose', (done) => {
    stopListening();
    for (const stream of followers.keys()) stream.end();
    done();
  });

  app.get(
    '/1/lambdas/:lambda_id/logs',
    {
      exposeHeadRoute: false,
      config: { access: 'read' },
      schema: {
        operationId: 'getLogs',
        summary: "A lambda's log",
        description:
          'With `follow=1` the reply is `text/event-stream`: each event is one LogRecord, its id the sequence; ' +
          'an event `missed` says how many lines a slow reader lost. `Last-Event-ID` goes on where a reader was.',
        tags: ['logs'],
        params: LambdaPath,
        querystring: LogQuery,
        response: replies({ 200: ref(LogList) }, ['bad_request', 'lambda_not_found']),
      },
    },
    async (request, reply) => {
      const { id: lambdaId } = ownLambda(request, registry);
      const { page_size: pageSize = PAGE_SIZE.default, follow } = request.query;
      const filter = logFilter(lambdaId, request.query);
      if (follow === '1' || follow === 'true') {
        const after = filter.after ?? lastEventId(request.headers['last-event-id']);
        const stream = openEventStream(reply, { heartbeatMs, onMissed: onLogMissed });
        followers.set(stream, lambdaId);
        stream.onEnd(() => followers.delete(stream));
        try {
          await followInto(stream, logs, { ...filter, after });
        } catch (error) {
          // The reply has begun: ending it is all that can still be said.
          request.log.error({ err: error, lambdaId }, 'stored log lines could not be read');
          stream.end();
        }
        return reply;
      }
      const lines = await logs.query(filter, pageSize);
      return {
        items: lines.map(recordView),
        page_size: pageSize,
        last_sequence: lines.at(-1)?.sequence ?? null,
      };
    },
  );
};

/**
 * New lines go into the stream, after the stored ones that a reader who names its last line has missed.
 * What arrives while the stored ones are read waits for them, and is sent once.
 */
async function followInto(stream: EventStream, logs: LogReader, filter: LogFilter): Promise<void> {
  let waiting: StoredLine[] | undefined = [];
  const send = (line: StoredLine): void => stream.send(line.sequence, recordView(line));
  const unfollow = logs.follow(filter, (line) => {
    if (!waiting) send(line);
    else if (waiting.length < MAX_WAITING) waiting.push(line);
    else stream.miss(1);
  });
  stream.onEnd(unfollow);
  const missed = filter.after === undefined ? [] : await logs.query(filter, PAGE_SIZE.max);
  missed.forEach(send);
  const last = missed.at(-1)?.sequence ?? -1;
  waiting.filter(({ sequence }) => sequence > last).forEach(send);
  waiting = undefined;
}

function logFilter(lambdaId: string, { level, since, until, request_id, after }: Query): LogFilter {
  return {
    lambdaId,
    ...present({
      level,
      fromMs: since === undefined ? undefined : epochMs(since, 'since'),
      toMs: until === undefined ? undefined : epochMs(until, 'until'),
      requestId: request_id,
      after,
    }),
  };
}

const lastEventId = (given: string | string[] | undefined): number | undefined =>
  typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : undefined;

const recordView = (line: StoredLine): LogRecord => ({
  sequence: line.sequence,
  time: timestamp(line.time),
  level: line.level,
  message: line.message,
  version: line.version,
  request_id: line.requestId ?? null,
  ...present({ fields: line.fields }),
});
