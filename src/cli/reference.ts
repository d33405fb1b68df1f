/**
 * The tables of docs/operators.md, made from the same tables as the flags, the checks and the help.
 * A test compares; `node src/cli/write-reference.ts` brings the page up to date.
 */
import { LIMIT_KEYS, LIMITS, type LimitSpec } from '../config/limits.ts';
import { flagOf, OPTION_NAMES, OPTIONS, variableOf, type OptionSpec } from '../config/options.ts';
import { EXIT } from './exit-codes.ts';
import { limitVariableOf } from './host-config.ts';

const TABLES: Readonly<Record<string, () => string>> = {
  options: optionTable,
  limits: limitTable,
  'exit-codes': exitCodeTable,
};

/** The page with every generated table put between its markers, `<!-- options -->` and `<!-- /options -->`. */
export function withReference(page: string): string {
  let filled = page;
  for (const [name, make] of Object.entries(TABLES)) {
    const [from, to] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [start, end] = [filled.indexOf(from), filled.indexOf(to)];
    if (start < 0 || end < start) throw new Error(`the page lacks the markers ${from} and ${to}`);
    filled = `${filled.slice(0, start + from.length)}\n\n${make()}\n\n${filled.slice(end)}`;
  }
  return filled;
}

function optionTable(): string {
  const rows = OPTION_NAMES.map((name) => {
    const option: OptionSpec = OPTIONS[name];
    return [code(flagOf(name)), code(variableOf(name)), code(option.key), initialOf(option), aboutOf(option)];
  });
  return markdownTable(['Flag', 'Environment', 'File', 'Default', 'Meaning'], rows);
}

function initialOf(option: OptionSpec): string {
  if (option.type === 'list') return option.default.length === 0 ? 'none' : code(option.default.join(','));
  return option.default === '' ? 'none' : code(String(option.default));
}

function aboutOf(option: OptionSpec): string {
  const other = option.otherVariable === undefined ? '' : `. Else ${code(option.otherVariable)}`;
  return `${rangeOf(option)}${other}`;
}

function rangeOf(option: OptionSpec): string {
  if (option.type === 'choice') return `${option.about}. One of ${option.choices.map(code).join(', ')}`;
  return option.type === 'number' ? `${option.about}. ${option.min} to ${option.max}` : option.about;
}

function limitTable(): string {
  const rows = LIMIT_KEYS.map((key) => {
    const { about, default: initial, unit, scope, min }: LimitSpec = LIMITS[key];
    const where = scope === 'lambda' ? 'account, lambda' : 'account';
    return [
      code(key),
      about,
      `${initial.toLocaleString('en')} ${unit}`,
      String(min),
      where,
      code(limitVariableOf(key)),
    ];
  });
  return markdownTable(['Key', 'Bounds', 'Default', 'Least', 'Set for', 'Ceiling by environment'], rows);
}

function exitCodeTable(): string {
  return markdownTable(
    ['Code', 'Meaning'],
    Object.values(EXIT).map(({ code: exit, about }) => [String(exit), about]),
  );
}

const code = (text: string): string => `\`${text}\``;

/** Columns padded as the formatter pads them, so that the page stays as it was written. */
function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, at) =>
    Math.max(head.length, 3, ...rows.map((row) => (row[at] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
