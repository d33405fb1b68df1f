import { Type, type Static } from 'typebox';
import { closed, forAccount, nullable, oneOf, paging, ref, Timestamp } from './common.ts';

export const LOG_LEVELS = ['debug', 'info', 'warning', 'error', 'critical'] as const;
export const LogLevelName = oneOf(LOG_LEVELS);

/** One stored line of a lambda's log. */
export const LogRecord = closed(
  {
    time: Timestamp,
    level: LogLevelName,
    message: Type.String(),
    version: Type.Integer({ minimum: 1 }),
    request_id: nullable(Type.String()),
    fields: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { $id: 'LogRecord' },
);
export type LogRecord = Static<typeof LogRecord>;

export const LogList = closed(
  {
    items: Type.Array(ref(LogRecord), { description: 'Oldest first.' }),
    total: Type.Integer({ minimum: 0 }),
    page: Type.Integer({ minimum: 1 }),
    page_size: Type.Integer({ minimum: 1 }),
    dropped: Type.Integer({ minimum: 0, description: 'Lines that the log rate cut off.' }),
  },
  { $id: 'LogList' },
);
export type LogList = Static<typeof LogList>;

export const LogQuery = closed({
  ...paging,
  level: Type.Optional(oneOf(LOG_LEVELS, { description: 'This level and those above it.' })),
  since: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; this time is included.' })),
  until: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339; this time is left out.' })),
  request_id: Type.Optional(Type.String({ maxLength: 128 })),
  version: Type.Optional(Type.Integer({ minimum: 1 })),
  search: Type.Optional(Type.String({ maxLength: 256, description: 'Part of the message.' })),
  follow: Type.Optional(
    oneOf(['0', '1', 'true', 'false'], { description: '`1`: server-sent events, from now on.' }),
  ),
  ...forAccount,
});
export type LogQuery = Static<typeof LogQuery>;
