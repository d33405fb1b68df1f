import { readFileSync } from 'node:fs';
import { CommandError } from './command-error.ts';

/** Text given on the command line, as `@file`, or as `-` for standard input: the way of curl's `-d`. */
export async function textArgument(given: string, flag: string): Promise<Buffer> {
  if (given === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
    return Buffer.concat(chunks);
  }
  if (!given.startsWith('@')) return Buffer.from(given);
  try {
    return readFileSync(given.slice(1));
  } catch (error) {
    throw new CommandError('notFound', `${flag} ${given}: ${error instanceof Error ? error.message : ''}`, {
      cause: error,
    });
  }
}

/** A JSON object given in one of those ways. Throws CommandError `usage` where it is none. */
export async function jsonObjectArgument(given: string, flag: string): Promise<Record<string, unknown>> {
  const text = (await textArgument(given, flag)).toString('utf8');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CommandError('usage', `${flag} is not JSON: ${error instanceof Error ? error.message : ''}`, {
      mend: `Quote it for the shell: ${flag} '{"key": "value"}'; or read it from a file: ${flag} @file.json`,
    });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new CommandError('usage', `${flag} must be a JSON object`);
  return parsed as Record<string, unknown>;
}
