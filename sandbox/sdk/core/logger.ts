import { environment, type LogLevel } from './environment.ts';

type Fields = Record<string, unknown>;

/** Writes to the lambda's log. `%s`, `%d`, `%i`, `%f`, `%j`, `%o` and `%%` are filled in; plain objects become fields. */
export interface Logger {
  debug(message: unknown, ...args: unknown[]): void;
  info(message: unknown, ...args: unknown[]): void;
  warn(message: unknown, ...args: unknown[]): void;
  warning(message: unknown, ...args: unknown[]): void;
  error(message: unknown, ...args: unknown[]): void;
  /** Like `error`, for what was caught: its stack is logged with it. */
  exception(message: unknown, ...args: unknown[]): void;
  critical(message: unknown, ...args: unknown[]): void;
}

/** A logger whose lines carry the request's id; without one, the id of the request that runs, where that is known. */
export function createLogger(requestId?: string): Logger {
  const at =
    (level: LogLevel) =>
    (message: unknown, ...args: unknown[]): void => {
      const line = formatLine(message, args);
      environment().writeLog(level, line.message, line.fields, requestId);
    };
  const error = at('error');
  const warning = at('warning');
  return {
    debug: at('debug'),
    info: at('info'),
    warn: warning,
    warning,
    error,
    exception: error,
    critical: at('critical'),
  };
}

export const logger: Logger = createLogger();

/** The text and the fields of one line. */
export function formatLine(
  first: unknown,
  args: readonly unknown[],
): { message: string; fields: Fields | undefined } {
  const rest = [...args];
  let message: string;
  let fields: Fields | undefined;
  const add = (more: Fields): void => {
    fields = { ...fields, ...more };
  };
  if (isTemplate(first)) {
    message = first.reduce((text, part, i) => text + (i === 0 ? '' : show(rest.shift())) + part, '');
  } else if (typeof first === 'string') {
    message = first.includes('%') ? fill(first, rest) : first;
  } else {
    message = show(first);
    if (isPlainObject(first)) add(first);
  }
  for (const extra of rest) {
    if (isPlainObject(extra)) add(extra);
    else message += ` ${show(extra)}`;
  }
  return { message, fields };
}

/** `logger.info\`${name} came\`` calls with the template's parts. */
function isTemplate(value: unknown): value is readonly string[] {
  return Array.isArray(value) && Array.isArray((value as { raw?: unknown }).raw);
}

function fill(format: string, rest: unknown[]): string {
  return format.replace(/%[sdifjoO%]/g, (token) => {
    if (token === '%%') return '%';
    if (rest.length === 0) return token;
    const value = rest.shift();
    if (token === '%s') return show(value);
    if (token === '%j' || token === '%o' || token === '%O') return json(value);
    if (typeof value === 'bigint') return String(value);
    const number = typeof value === 'symbol' ? NaN : Number(value);
    return String(token === '%i' ? Math.trunc(number) : number);
  });
}

/** A value as text in a message: texts as they are, errors with their stack, everything else as JSON. */
export function show(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return typeof value.stack === 'string' ? value.stack : String(value);
  if (typeof value === 'object' && value !== null) return json(value);
  if (typeof value === 'function') return `[function ${value.name}]`;
  return String(value);
}

function json(value: unknown): string {
  const above: unknown[] = [];
  try {
    const text = JSON.stringify(value, function (this: unknown, _key, item: unknown) {
      if (typeof item === 'bigint') return `${item}n`;
      if (typeof item === 'function') return `[function ${item.name}]`;
      if (item instanceof Error) return `${item.name}: ${item.message}`;
      if (typeof item !== 'object' || item === null) return item;
      while (above.length > 0 && above.at(-1) !== this) above.pop();
      if (above.includes(item)) return '[circular]';
      above.push(item);
      return item;
    });
    return text ?? String(value);
  } catch (error) {
    return `[unprintable: ${error instanceof Error ? error.message : 'it threw'}]`;
  }
}

export function isPlainObject(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
