import { InvalidArgumentError, Option, type Command } from 'commander';
import { createTerminal, type Terminal } from './terminal.ts';

export const LAMBDA_TYPES = ['standalone', 'handlers', 'rpc', 'tasks'] as const;

export interface JsonOption {
  readonly json?: boolean;
}

/** Adds `--json`, which every command understands. */
export const withJson = (command: Command): Command =>
  command.option('--json', 'one JSON document on standard output, for scripts');

export const terminalOf = (options: JsonOption): Terminal => createTerminal(options);

export const typeOption = (about: string, initial?: string): Option => {
  const option = new Option('--type <type>', about).choices(LAMBDA_TYPES);
  return initial === undefined ? option : option.default(initial);
};

/** Examples below the options of a command's help; `$` lines are what to type. */
export const examples = (
  command: Command,
  ...lines: readonly (readonly [line: string, about?: string])[]
): Command => {
  const width = Math.max(...lines.map(([line]) => line.length));
  const text = lines.map(([line, about]) => `  $ ${about ? `${line.padEnd(width)}   # ${about}` : line}`);
  return command.addHelpText('after', `\nExamples:\n${text.join('\n')}`);
};

export function wholeNumber(least: number, unit: string): (given: string) => number {
  return (given) => {
    const number = Number(given);
    if (given.trim() === '' || !Number.isInteger(number) || number < least)
      throw new InvalidArgumentError(`It must be a whole number (${unit}), ${least} or more.`);
    return number;
  };
}
