import { pino, type Logger } from 'pino';

export type { Logger };

/** The host's own log: one JSON object a line on standard error, so that commands keep standard output for themselves. Tokens never reach it. */
export function createLog(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      redact: {
        paths: ['req.headers.authorization', 'headers.authorization', 'token', 'password'],
        censor: '[masked]',
      },
    },
    pino.destination({ dest: 2, sync: false }),
  );
}
