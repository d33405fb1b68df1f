import { Type, type Static } from 'typebox';
import { LOG_LEVELS } from '../protocol/log-level.ts';
import { closed, forAccount, nullable, oneOf, PAGE_SIZE, ref, Timestamp } from './common.ts';

export const LogLevelName = oneOf(LOG_LEVELS);

/** One stored line of a lambda's log. */
export const LogRecord = closed(
  {
    sequence: Type.Integer({ minimum: 0, description: 'Order of arrival within the lambda.' }),
    time: Timestamp,
    level: LogLevelName,
    message: Type.String(),
    version: Type.Integer({ minimum: 0 }),
    request_id: nullable(Type.String()),
    fields: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { $id: 'LogRecord' },
);
export type LogRecord = Static<typeof LogRecord>;

/** A log has no pages: it grows while it is read. `after` goes on from where a reader was. */
export const LogList = closed(
  {
    items: Type.Array(ref(LogRecord), { description: 'The newest that match, oldest first.' }),
    page_size: Type.Integer({ minimum: 1 }),
    last_sequence: nullable(
      Type.Integer({
        minimum: 0,
        description: 'Of the last line here: ask with `after` for those that follow.',
      }),
    ),
  },
  { $id: 'LogList' },
);
export type LogList = Static<typeof LogList>;

export const LogQuery = closed({
  page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_SIZE.max, default: PAGE_SIZE.default })),
  level: Type.Optional(oneOf(LOG_LEVELS, { description: 'This level and those above it.' })),
  since: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339, included.' })),
  until: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339, included.' })),
  request_id: Type.Optional(Type.String({ maxLength: 128 })),
  after: Type.Optional(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Lines after this sequence.' }),
  ),
  follow: Type.Optional(
    oneOf(['0', '1', 'true', 'false'], {
      description:
        '`1`: server-sent events, from now on, or from `after`; each event is one line, and its id the sequence.',
    }),
  ),
  ...forAccount,
});
export type LogQuery = Static<typeof LogQuery>;
