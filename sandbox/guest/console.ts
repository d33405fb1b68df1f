import { formatLine, show } from '../sdk/core/logger.ts';
import type { LogLevel } from '../sdk/core/environment.ts';

type Write = (level: LogLevel, message: string) => void;

/** `console` writes to the lambda's log. Objects are shown in the message, as consoles do; `logger` keeps them as fields. */
export function createConsole(write: Write, now: () => number): object {
  const timers = new Map<string, number>();
  const counts = new Map<string, number>();
  let indent = '';
  const line =
    (level: LogLevel) =>
    (...parts: unknown[]): void => {
      const [first, ...rest] = parts;
      const usesFormat = typeof first === 'string' && first.includes('%');
      const message = usesFormat
        ? formatLine(
            first,
            rest.map((part) => (typeof part === 'object' ? show(part) : part)),
          ).message
        : parts.map(show).join(' ');
      write(level, indent + message);
    };
  const info = line('info');
  const error = line('error');
  const debug = line('debug');
  const elapsed = (label: string): string =>
    `${label}: ${(now() - (timers.get(label) ?? now())).toFixed(3)} ms`;
  return {
    log: info,
    info,
    debug,
    warn: line('warning'),
    error,
    trace: (...parts: unknown[]) => {
      debug('Trace:', ...parts, `\n${String(new Error('').stack).split('\n').slice(2).join('\n')}`);
    },
    dir: (value: unknown) => info(value),
    dirxml: info,
    table: (value: unknown) => info(value),
    assert: (condition: unknown, ...parts: unknown[]) => {
      if (!condition) error('Assertion failed', ...parts);
    },
    count: (label = 'default') => {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      info(`${label}: ${counts.get(label)}`);
    },
    countReset: (label = 'default') => void counts.delete(label),
    time: (label = 'default') => void timers.set(label, now()),
    timeLog: (label = 'default', ...parts: unknown[]) => info(elapsed(label), ...parts),
    timeEnd: (label = 'default') => {
      info(elapsed(label));
      timers.delete(label);
    },
    group: (...parts: unknown[]) => {
      if (parts.length > 0) info(...parts);
      indent = `${indent}  `.slice(0, 32);
    },
    groupCollapsed: (...parts: unknown[]) => info(...parts),
    groupEnd: () => {
      indent = indent.slice(2);
    },
    clear: () => {},
  };
}
