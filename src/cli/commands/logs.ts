import { Command, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS } from '../../protocol/log-level.ts';
import { findLambda, withConnection, withHost, type Connection, type HostOptions } from '../connection.ts';
import { examples, terminalOf, wholeNumber } from '../options.ts';
import { paint, type Terminal } from '../terminal.ts';
import type { LogRow } from '../views.ts';

interface LogsOptions extends HostOptions {
  readonly follow?: boolean;
  readonly level?: LogRow['level'];
  readonly since?: string;
  readonly until?: string;
  readonly request?: string;
  readonly lines?: number;
}

const DEFAULT_LINES = 100;
/** Before the new ones, so that a reader sees where they stand. */
const DEFAULT_LINES_FOLLOWED = 10;
const MOST_LINES = 500;
const UNITS_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

export function logsCommand(): Command {
  const command = new Command('logs')
    .description('Print the log of a lambda: the newest lines that match, and with --follow those to come.')
    .argument('<id|name>', 'which lambda')
    .option('-f, --follow', 'go on with new lines as they are written, until Ctrl-C')
    .addOption(new Option('--level <level>', 'this level and those above it').choices(LOG_LEVELS))
    .option('--since <time>', 'from this time on: RFC 3339, or so long ago, as 90s, 10m, 2h or 1d', timeOf)
    .option('--until <time>', 'up to this time, written as for --since', timeOf)
    .option('--request <id>', 'lines of one request: the Luna-Request-Id of its reply')
    .option(
      '-n, --lines <number>',
      `so many at most, ${MOST_LINES} are given at once (default: ${DEFAULT_LINES}; with --follow ${DEFAULT_LINES_FOLLOWED})`,
      wholeNumber(1, 'lines'),
    );
  withHost(command);
  command.addHelpText(
    'after',
    '\nWith --json and --follow: one JSON object a line. A reader that is too slow misses lines, and is told how many; the lambda never waits.',
  );
  examples(
    command,
    ['isolambda logs my-lambda', 'the last lines'],
    ['isolambda logs my-lambda --follow --level warning'],
    ['isolambda logs my-lambda --since 10m --request 5f0c6f9e-1a8c-4f0b-9b0a-2f8f0e3a7c11'],
    ['isolambda logs my-lambda --follow --json | jq .message'],
  );
  return command.action(async (given: string, options: LogsOptions) => {
    await withConnection(options, { account: 'optional' }, async (connection) => {
      const lambdaId = (await findLambda(connection, given)).id;
      const terminal = terminalOf(options);
      if (options.follow) await follow(connection, lambdaId, options, terminal);
      else await print(connection, lambdaId, options, terminal);
    });
  });
}

function timeOf(given: string): string {
  const ago = /^(\d{1,9})([smhd])$/.exec(given);
  if (ago)
    return new Date(Date.now() - Number(ago[1]) * UNITS_MS[ago[2] as keyof typeof UNITS_MS]).toISOString();
  // A time without a zone means this machine's, as people write it.
  const at = Date.parse(given);
  if (Number.isNaN(at))
    throw new InvalidArgumentError(
      'Write a time as 2026-10-26T12:00:00Z, or how long ago as 90s, 10m, 2h or 1d.',
    );
  return new Date(at).toISOString();
}

const filtersOf = ({ level, since, until, request }: LogsOptions) => ({
  level,
  since,
  until,
  requestId: request,
});

async function print(
  { api }: Connection,
  lambdaId: string,
  options: LogsOptions,
  terminal: Terminal,
): Promise<void> {
  const pageSize = Math.min(options.lines ?? DEFAULT_LINES, MOST_LINES);
  const { json } = await api.getLogs({ lambdaId, ...filtersOf(options), pageSize });
  if (json.items.length > 0 || terminal.json)
    terminal.answer(json, () => json.items.map(lineText).join('\n'));
  else terminal.note('no lines match');
}

async function follow(
  { api }: Connection,
  lambdaId: string,
  options: LogsOptions,
  terminal: Terminal,
): Promise<void> {
  const filters = filtersOf(options);
  const show = (row: LogRow): void =>
    void process.stdout.write(`${terminal.json ? JSON.stringify(row) : lineText(row)}\n`);
  const pageSize = Math.min(options.lines ?? DEFAULT_LINES_FOLLOWED, MOST_LINES);
  const { items, last_sequence: last } = (await api.getLogs({ lambdaId, ...filters, pageSize })).json;
  items.forEach(show);
  const onMissed = (lines: number): void =>
    terminal.note(`${lines} lines were missed: this reader was too slow`);
  // Where nothing matched, what comes meanwhile is not lost: from the log's beginning.
  for await (const row of api.followLogs({ lambdaId, ...filters, after: last ?? 0, onMissed })) {
    show(row);
    if (process.stdout.writableNeedDrain)
      await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
  terminal.note('the log has ended: the lambda was deleted, or its host stops');
}

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const COLOURS = {
  debug: 'dim',
  info: 'reset',
  warning: 'yellow',
  error: 'red',
  critical: 'redBright',
} as const;

function lineText({ time, level, message, request_id, fields }: LogRow): string {
  const more = fields === undefined ? '' : ` ${paint('dim', JSON.stringify(fields))}`;
  const request = request_id === null ? '' : ` ${paint('dim', `[${request_id}]`)}`;
  return `${paint('dim', time)} ${paint(COLOURS[level], level.padEnd(8))} ${printable(message)}${more}${request}`;
}

/** A lambda's text must not steer the reader's terminal, nor look like a line of its own. */
const printable = (text: string): string =>
  text
    .replaceAll(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replaceAll('\n', '\n    ');
