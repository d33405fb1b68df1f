import { Command } from 'commander';
import { findLambda, withConnection, withHost, type HostOptions } from '../connection.ts';
import { examples, terminalOf } from '../options.ts';

export function deleteCommand(): Command {
  const command = new Command('delete')
    .alias('rm')
    .description('Delete lambdas, with their versions and logs. There is no way back.')
    .argument('<id|name...>', 'which lambdas');
  withHost(command);
  examples(command, ['isolambda delete my-lambda']);
  return command.action(async (given: string[], options: HostOptions) => {
    await withConnection(options, { account: 'optional' }, async (connection) => {
      // All are looked up first: a misspelt name must not leave half of them deleted.
      const ids: string[] = [];
      for (const one of given) ids.push((await findLambda(connection, one)).id);
      for (const lambdaId of ids) await connection.api.deleteLambda({ lambdaId });
      terminalOf(options).answer({ deleted: ids }, () => given.map((name) => `deleted ${name}`).join('\n'));
    });
  });
}
