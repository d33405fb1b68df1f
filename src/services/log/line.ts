import { LOG_LEVELS, type LogLevel } from '../../protocol/log-level.ts';
import type { LogLine } from '../../protocol/messages.ts';

/** A line of a lambda's log, as it is kept: one JSON object a line. */
export interface StoredLine extends LogLine {
  /** Order of arrival within the lambda; survives a restart, grows without end. */
  readonly sequence: number;
  readonly version: number;
}

export interface LogFilter {
  readonly lambdaId: string;
  /** The least level. */
  readonly level?: LogLevel | undefined;
  /** Epoch milliseconds, both inclusive. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly requestId?: string | undefined;
  /** Lines after this sequence number. */
  readonly after?: number | undefined;
}

export function matches(line: StoredLine, filter: LogFilter): boolean {
  if (filter.level !== undefined && LOG_LEVELS.indexOf(line.level) < LOG_LEVELS.indexOf(filter.level))
    return false;
  if (filter.fromMs !== undefined && line.time < filter.fromMs) return false;
  if (filter.toMs !== undefined && line.time > filter.toMs) return false;
  if (filter.requestId !== undefined && line.requestId !== filter.requestId) return false;
  return filter.after === undefined || line.sequence > filter.after;
}
