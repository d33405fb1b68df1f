import { Command } from 'commander';
import { withConnection, withHost, type HostOptions } from '../connection.ts';
import { examples, terminalOf } from '../options.ts';
import { paint, table } from '../terminal.ts';
import { allPages } from '../views.ts';

export function accountCommand(): Command {
  const command = new Command('account').description('Make and list accounts.');
  command.addCommand(createCommand());
  command.addCommand(listCommand());
  return examples(command, ['isolambda account create acme'], ['isolambda account list']);
}

function createCommand(): Command {
  const command = new Command('create').description('Make an account.').argument('<name>', 'its name');
  withHost(command);
  examples(command, ['isolambda account create acme']);
  return command.action(async (name: string, options: HostOptions) => {
    await withConnection(options, { account: 'none' }, async ({ api }) => {
      const { json } = await api.createAccount({ name });
      terminalOf(options).answer({ ...json, name }, () =>
        [
          `${paint('green', '✓')} account ${paint('bold', name)}`,
          `  id     ${json.account_id}`,
          `  token  isolambda token create --account ${name}`,
        ].join('\n'),
      );
    });
  });
}

function listCommand(): Command {
  const command = new Command('list').description('List accounts.');
  withHost(command);
  examples(command, ['isolambda account list --json']);
  return command.action(async (options: HostOptions) => {
    await withConnection(options, { account: 'none' }, async ({ api }) => {
      const accounts = await allPages((paging) => api.getAccounts(paging));
      terminalOf(options).answer({ items: accounts, total: accounts.length }, () =>
        accounts.length === 0
          ? 'no accounts: isolambda account create NAME makes one'
          : table(
              ['NAME', 'ID', 'LAMBDAS', 'CREATED'],
              accounts.map(({ name, account_id, lambdas, created_at }) => [
                name,
                account_id,
                String(lambdas),
                created_at,
              ]),
            ),
      );
    });
  });
}
