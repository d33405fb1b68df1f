import { Command, Option } from 'commander';
import { withConnection, withHost, type HostOptions } from '../connection.ts';
import { examples, terminalOf, typeOption } from '../options.ts';
import { table } from '../terminal.ts';
import { allPages, type LambdaRow, type LambdaType } from '../views.ts';

interface ListOptions extends HostOptions {
  readonly name?: string;
  readonly type?: LambdaType;
  readonly status?: LambdaRow['status'];
}

export function listCommand(): Command {
  const command = new Command('list')
    .alias('ls')
    .description('List lambdas.')
    .option('--name <part>', 'whose name holds this, case ignored')
    .addOption(typeOption('of this type'))
    .addOption(
      new Option('--status <status>', 'in this state').choices([
        'waiting',
        'building',
        'running',
        'failed',
        'disabled',
      ]),
    );
  withHost(command);
  examples(command, ['isolambda list'], ['isolambda list --status failed --json']);
  return command.action(async (options: ListOptions) => {
    await withConnection(options, { account: 'optional' }, async ({ api }) => {
      const { name, type: lambdaType, status } = options;
      const lambdas = await allPages((paging) => api.getLambdas({ ...paging, name, lambdaType, status }));
      terminalOf(options).answer({ items: lambdas, total: lambdas.length }, () =>
        lambdas.length === 0
          ? 'no lambdas'
          : table(
              ['NAME', 'ID', 'TYPE', 'STATUS', 'VERSION', 'UPDATED'],
              lambdas.map((lambda) => [
                lambda.name,
                lambda.lambda_id,
                lambda.lambda_type,
                lambda.status,
                String(lambda.version ?? '-'),
                lambda.updated_at,
              ]),
            ),
      );
    });
  });
}
