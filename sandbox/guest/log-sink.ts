import { FromGuest } from '../bridge/wire.ts';
import type { LogLevel } from '../sdk/core/environment.ts';
import type { Outbox } from './outbox.ts';
import { DateNow, JsonStringify, MathMin, ObjectKeys, sliceText } from './primordials.ts';

/** What a line costs besides its text. */
const LINE_OVERHEAD_BYTES = 96;
/** This many lines of an entry go out at once, so that they are not lost when the lambda then loops for ever. */
const AT_ONCE = 4;

export interface LogSink {
  write(
    level: LogLevel,
    message: string,
    fields: Readonly<Record<string, unknown>> | undefined,
    requestId: string | undefined,
  ): void;
  /** An entry begins. */
  begin(): void;
}

/**
 * Log lines on their way out: cut to their length, bounded in rate by a bucket of bytes that holds one second's worth.
 * What does not fit is counted, and the count goes with the next line that does, or the next entry.
 */
export function createLogSink(
  outbox: Outbox,
  limits: { readonly log_line_bytes: number; readonly log_bytes_per_s: number },
): LogSink {
  const perSecond = limits.log_bytes_per_s;
  let budget = perSecond;
  let filledAt = DateNow();
  let dropped = 0;
  let sentAtOnce = 0;

  const afford = (bytes: number): boolean => {
    const now = DateNow();
    budget = MathMin(perSecond, budget + ((now - filledAt) * perSecond) / 1_000);
    filledAt = now;
    if (bytes > budget) return false;
    budget -= bytes;
    return true;
  };
  const tell = (count: number, line: string): void => {
    outbox.add(FromGuest.log, count, line);
    if (sentAtOnce < AT_ONCE) {
      sentAtOnce++;
      outbox.flush();
    }
  };

  return {
    begin() {
      sentAtOnce = 0;
      if (dropped > 1) outbox.add(FromGuest.log, dropped - 1, '');
      dropped = 0;
    },
    write(level, message, fields, requestId) {
      if (typeof message !== 'string') return;
      const text = cut(message, limits.log_line_bytes);
      const fieldText = fields === undefined ? '' : fieldsText(fields, limits.log_line_bytes - text.length);
      if (!afford(text.length + fieldText.length + LINE_OVERHEAD_BYTES)) {
        dropped++;
        // The first of a run of dropped lines says so at once; how many there were comes with the next line or entry.
        if (dropped === 1) outbox.add(FromGuest.log, 1, '');
        return;
      }
      const line =
        `{"level":${JsonStringify(level)},"time":${DateNow()},"message":${JsonStringify(text)}` +
        (requestId === undefined ? '' : `,"requestId":${JsonStringify(sliceText(requestId, 0, 128))}`) +
        (fieldText === '' ? '' : `,"fields":${fieldText}`) +
        '}';
      const told = dropped > 0 ? dropped - 1 : 0;
      dropped = 0;
      tell(told, line);
    },
  };
}

function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  return `${sliceText(text, 0, max)}... [${text.length - max} characters cut]`;
}

/** The fields as a JSON object. They are the tenant's own values: whatever happens on the way, the result is valid JSON. */
function fieldsText(fields: Readonly<Record<string, unknown>>, max: number): string {
  let text = '';
  try {
    for (const key of ObjectKeys(fields)) {
      const part = `${JsonStringify(key)}:${fieldText(fields[key])}`;
      if (text.length + part.length > max) return `{${text}${text === '' ? '' : ','}"truncated":true}`;
      text += text === '' ? part : `,${part}`;
    }
  } catch {
    return '{"unprintable":true}';
  }
  return `{${text}}`;
}

function fieldText(value: unknown): string {
  if (value instanceof Error) return JsonStringify(`${value.name}: ${value.message}\n${String(value.stack)}`);
  let text: unknown;
  try {
    text = JsonStringify(value);
  } catch {
    text = undefined;
  }
  return typeof text === 'string'
    ? text
    : typeof value === 'symbol'
      ? '"symbol"'
      : JsonStringify(`${String(value)}`);
}
