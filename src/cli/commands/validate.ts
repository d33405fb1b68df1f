import { Command } from 'commander';
import { compileConfig } from '../../config/config.ts';
import { DEFAULT_LIMITS } from '../../config/limits.ts';
import { createLog } from '../../telemetry/log.ts';
import { CommandError } from '../command-error.ts';
import { lambdaTypeOf } from '../folder/lambda-type.ts';
import { archiveOf } from '../folder/pack.ts';
import { examples, terminalOf, typeOption, withJson, type JsonOption } from '../options.ts';
import { paint, paintError, problemText } from '../terminal.ts';
import type { LambdaType } from '../views.ts';

interface ValidateOptions extends JsonOption {
  readonly type?: LambdaType;
  readonly handler?: string;
}

export function validateCommand(): Command {
  const command = new Command('validate')
    .description(
      'Check and bundle a lambda here, as a host would, and print everything that is wrong. Needs no host.',
    )
    .argument('[folder|zip]', 'folder with lambda_main.ts or .js at its root, or an archive of one', '.')
    .addOption(
      typeOption('kind of lambda (default: what package.json says under isolambda.type, else standalone)'),
    )
    .option('--handler <name>', 'of an rpc lambda: the export to call');
  withJson(command);
  examples(command, ['isolambda validate my-lambda'], ['isolambda validate my.zip --type rpc --json']);
  return command.action(validate);
}

async function validate(path: string, options: ValidateOptions): Promise<void> {
  const terminal = terminalOf(options);
  const archive = archiveOf(path);
  const type = options.type ?? lambdaTypeOf(path);
  const progress = terminal.progress(`checking ${path}`);
  // Loaded here: esbuild and the parser are not light, and the other commands have no use for them.
  const { createBuilder } = await import('../../archive/builder.ts');
  const builder = createBuilder({
    config: compileConfig({ env: process.env }),
    log: createLog('silent'),
    spares: 1,
  });
  try {
    const { ok, problems } = await builder.build({
      archive: archive.bytes,
      type,
      handler: options.handler,
      limits: DEFAULT_LIMITS,
    });
    progress.end();
    if (!ok)
      throw new CommandError('refused', `${path} is no valid ${type} lambda`, {
        problems,
      });
    if (!terminal.json && problems.length > 0)
      terminal.note(`${paintError('yellow', 'warnings:')}\n${problems.map(problemText).join('\n')}`);
    terminal.answer(
      { valid: true, type, problems },
      () => `${paint('green', '✓')} ${path} is a valid ${type} lambda`,
    );
  } finally {
    progress.end();
    await builder.close();
  }
}
