import type { LambdaApi } from '../src/client/index.ts';
import type { LogRecord } from '../src/schemas/log.ts';

/** The first line of a lambda's log with this message, stored already or still to come. Rejects where the log ends without it. */
export async function lineOf(
  api: LambdaApi,
  lambdaId: string,
  message: string | RegExp,
  timeoutMs = 20_000,
): Promise<LogRecord> {
  const signal = AbortSignal.timeout(timeoutMs);
  const seen: string[] = [];
  const is =
    typeof message === 'string' ? (text: string) => text === message : (text: string) => message.test(text);
  try {
    for await (const line of api.followLogs({ lambdaId, after: 0, signal })) {
      if (is(line.message)) return line;
      seen.push(line.message);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw new Error(`no line ${String(message)} in the log, which has:\n${seen.join('\n')}`);
}
