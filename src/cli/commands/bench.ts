import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { EXIT } from '../exit-codes.ts';
import { examples } from '../options.ts';

interface BenchCommandOptions {
  readonly pairs?: string;
  readonly seconds?: string;
  readonly json?: true;
}

export function benchCommand(): Command {
  const command = new Command('bench')
    .description(
      'Measure isolambda beside its peers, in turn on this machine; ends with 1 where a bound is missed.\n' +
        'amqp-echo: `isolambda run` beside an echo on amqplib alone, 500 calls in flight and 1. Needs a source tree:\n' +
        'the peers and the load generators are not part of the package.',
    )
    .argument('[name...]', 'benches to run: amqp-echo, http-echo, ... (default: all)')
    .option('--pairs <n>', 'turns of product and peer (default: 5)')
    .option('--seconds <n>', 'length of a turn (default: 4)')
    .option('--json', 'print the rows as JSON');
  examples(command, ['isolambda bench amqp-echo'], ['isolambda bench amqp-echo --pairs 3 --seconds 2']);
  return command.action(bench);
}

async function bench(names: readonly string[], { pairs, seconds, json }: BenchCommandOptions): Promise<void> {
  const main = fileURLToPath(new URL('../../../bench/main.ts', import.meta.url));
  if (!existsSync(main))
    throw new CommandError('notFound', 'the benches are not part of the installed package', {
      mend: 'Run it in a source tree: git clone, npm ci, npm run bench -- amqp-echo. Against a queue of your own: isolambda echo-client.',
    });
  const flags = Object.entries({ pairs, seconds }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
  const child = spawn(process.execPath, [main, ...names, ...flags, ...(json ? ['--json'] : [])], {
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code ?? EXIT.failed.code;
}
