import { writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { Command } from 'commander';
import { IGNORE_FILE } from '../folder/collect.ts';
import { packFolder } from '../folder/pack.ts';
import { examples, terminalOf, withJson, type JsonOption } from '../options.ts';
import { paint, sizeText } from '../terminal.ts';

interface PackOptions extends JsonOption {
  readonly output?: string;
  readonly list?: boolean;
}

export function packCommand(): Command {
  const command = new Command('pack')
    .description("Make a lambda's archive from its folder. The same files always give the same bytes.")
    .argument('[folder]', 'folder with lambda_main.ts or .js at its root', '.')
    .option('-o, --output <file.zip>', "where to write it (default: the folder's name with .zip, here)")
    .option('--list', 'print every file that went in');
  withJson(command);
  command.addHelpText(
    'after',
    `
What goes in: every file of the folder, except
  names that begin with a dot, such as .git, .env and node_modules/.bin;
  what ${IGNORE_FILE} at its root names, by the rules of .gitignore;
  of node_modules: packages that only devDependencies need, lambda-tools (the host provides it), and
  *.d.ts and *.map.
Links to places in the folder are followed; a link that leaves it is an error.`,
  );
  examples(command, ['isolambda pack my-lambda -o my-lambda.zip'], ['isolambda pack . --list']);
  return command.action((folder: string, options: PackOptions) => {
    const path = options.output ?? `${basename(resolve(folder))}.zip`;
    const archive = packFolder(folder, resolve(path));
    writeFileSync(path, archive.bytes);
    const files = archive.files ?? [];
    const unpacked = archive.unpackedBytes ?? 0;
    terminalOf(options).answer(
      { path, bytes: archive.bytes.length, unpacked_bytes: unpacked, files: files.map((file) => file.path) },
      () =>
        [
          ...(options.list
            ? files.map((file) => `  ${file.path}  ${paint('dim', sizeText(file.bytes))}`)
            : []),
          `${path}: ${sizeText(archive.bytes.length)}, ${files.length} ${files.length === 1 ? 'file' : 'files'} of ${sizeText(unpacked)}`,
        ].join('\n'),
    );
  });
}
