import { Command, InvalidArgumentError } from 'commander';
import { CommandError } from '../command-error.ts';
import { withConnection, withHost, type Connection, type HostOptions } from '../connection.ts';
import { examples, terminalOf } from '../options.ts';
import { paint, table } from '../terminal.ts';
import { allPages, type Scope } from '../views.ts';

interface CreateOptions extends HostOptions {
  readonly scope: Scope[];
  readonly name?: string;
  readonly expires?: string;
}

const SCOPES: readonly Scope[] = ['admin', 'deploy', 'invoke', 'read'];

export function tokenCommand(): Command {
  const command = new Command('token').description("Make, list and revoke an account's tokens.");
  command.addCommand(createCommand());
  command.addCommand(listCommand());
  command.addCommand(revokeCommand());
  return examples(command, ['isolambda token create --account acme --scope deploy,invoke']);
}

function createCommand(): Command {
  const command = new Command('create')
    .description('Make a token. It is printed once; the host keeps only its hash.')
    .option('--scope <a,b,...>', `what it may do: ${SCOPES.join(', ')}`, parseScopes, ['deploy', 'invoke'])
    .option('--name <name>', 'to tell tokens apart')
    .option('--expires <when>', 'RFC 3339 time, or days from now as 30d (default: never)', parseExpiry);
  withHost(command);
  examples(
    command,
    ['isolambda token create --account acme', 'may deploy, read and invoke'],
    ['isolambda token create --account acme --scope invoke --expires 30d --name shop'],
    ['export ISOLAMBDA_TOKEN=$(isolambda token create --account acme)'],
  );
  return command.action(async (options: CreateOptions) => {
    await withConnection(options, { account: 'needed' }, async (connection) => {
      const { scope: scopes, name, expires } = options;
      const { json } = await connection.api.createToken(accountOf(connection), {
        scopes,
        ...(name === undefined ? {} : { name }),
        ...(expires === undefined ? {} : { expires_at: expires }),
      });
      const terminal = terminalOf(options);
      // The token alone is the answer, so that a script can take it as it is.
      if (!terminal.json)
        terminal.note(`token ${json.token_id} may ${json.scopes.join(', ')}; it is shown this once:`);
      terminal.answer(json, () => json.token);
    });
  });
}

function listCommand(): Command {
  const command = new Command('list').description("List an account's tokens, without their text.");
  withHost(command);
  examples(command, ['isolambda token list --account acme']);
  return command.action(async (options: HostOptions) => {
    await withConnection(options, { account: 'needed' }, async (connection) => {
      const accountId = accountOf(connection);
      const tokens = await allPages((paging) => connection.api.getTokens(accountId, paging));
      terminalOf(options).answer({ items: tokens, total: tokens.length }, () =>
        tokens.length === 0
          ? 'no tokens'
          : table(
              ['ID', 'NAME', 'SCOPES', 'EXPIRES'],
              tokens.map(({ token_id, name, scopes, expires_at }) => [
                token_id,
                name ?? '-',
                scopes.join(','),
                expires_at ?? 'never',
              ]),
            ),
      );
    });
  });
}

function revokeCommand(): Command {
  const command = new Command('revoke')
    .description('Revoke a token, at once.')
    .argument('<token-id>', 'as isolambda token list shows it');
  withHost(command);
  examples(command, ['isolambda token revoke 5f0c... --account acme']);
  return command.action(async (tokenId: string, options: HostOptions) => {
    await withConnection(options, { account: 'needed' }, async (connection) => {
      await connection.api.revokeToken(accountOf(connection), tokenId);
      terminalOf(options).answer({ revoked: tokenId }, () => `${paint('green', '✓')} revoked ${tokenId}`);
    });
  });
}

/** Tokens stand under an account's path, so its id must be known even where a token of its own would name it. */
function accountOf({ accountId }: Connection): string {
  if (accountId !== undefined) return accountId;
  throw new CommandError('usage', 'for which account?', { mend: 'Add --account ID.' });
}

function parseScopes(given: string): Scope[] {
  return given.split(',').map((part) => {
    const scope = SCOPES.find((known) => known === part.trim());
    if (scope === undefined) throw new InvalidArgumentError(`Scopes are ${SCOPES.join(', ')}.`);
    return scope;
  });
}

function parseExpiry(given: string): string {
  const days = /^(\d{1,5})d$/.exec(given)?.[1];
  const at = days === undefined ? Date.parse(given) : Date.now() + Number(days) * 86_400_000;
  if (Number.isNaN(at)) throw new InvalidArgumentError('Write 30d, or a time such as 2027-01-31T00:00:00Z.');
  return new Date(at).toISOString();
}
