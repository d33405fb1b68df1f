import { Command } from 'commander';
import { initFolder } from '../init/folder.ts';
import { examples, terminalOf, typeOption, withJson, type JsonOption } from '../options.ts';
import { paint } from '../terminal.ts';
import type { LambdaType } from '../views.ts';

interface InitOptions extends JsonOption {
  readonly type: LambdaType;
  readonly refreshTypes?: boolean;
}

export function initCommand(): Command {
  const command = new Command('init')
    .description('Make the folder of a new lambda: code, configuration, types for the editor, and a test.')
    .argument('<folder>', 'new or empty')
    .addOption(typeOption('kind of lambda', 'standalone'))
    .option('--refresh-types', "of a folder that exists: only bring its lambda-tools up to this isolambda's");
  withJson(command);
  examples(command, ['isolambda init my-lambda'], ['isolambda init my-queue --type rpc']);
  return command.action((folder: string, options: InitOptions) => {
    const made = initFolder(folder, options.type, options.refreshTypes === true);
    terminalOf(options).answer({ folder, type: options.type, files: made }, () =>
      options.refreshTypes
        ? `${paint('green', '✓')} lambda-tools of ${folder} is up to date`
        : [
            `${paint('green', '✓')} ${paint('bold', folder)}, a ${options.type} lambda:`,
            ...made.map((path) => `    ${path}`),
            'Next:',
            `  isolambda validate ${folder}`,
            `  isolambda deploy ${folder}`,
          ].join('\n'),
    );
  });
}
