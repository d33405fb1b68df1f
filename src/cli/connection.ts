import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { LambdaConnectionError } from '../client/errors.ts';
import { LambdaApi } from '../client/lambda-api.ts';
import { OPTIONS, variableOf } from '../config/options.ts';
import { CommandError } from './command-error.ts';
import { START_A_HOST } from './failure.ts';
import { withJson, type JsonOption } from './options.ts';
import { allPages } from './views.ts';

/** Flags of every command that speaks to a host. */
export interface HostOptions extends JsonOption {
  readonly origin?: string;
  readonly token?: string;
  readonly dataDir?: string;
  readonly account?: string;
}

export interface Connection {
  readonly api: LambdaApi;
  readonly origin: string;
  /** The account that is acted for, where one was named or can be guessed; a token of an account names its own. */
  readonly accountId: string | undefined;
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
export const isUuid = (text: string): boolean => UUID.test(text);

export function withHost(command: Command): Command {
  command
    .option('--origin <url>', 'the host (env ISOLAMBDA_ORIGIN; default: from host.json of the data folder)')
    .option('--token <token>', "(env ISOLAMBDA_TOKEN; default: the operator's, from the data folder)")
    .option('--account <id>', 'for the operator: which account, by id or name (env ISOLAMBDA_ACCOUNT)')
    .option(
      '--data-dir <folder>',
      `data folder of a host on this machine (env ${variableOf('dataDir')}; default: ${OPTIONS.dataDir.default})`,
    );
  return withJson(command);
}

interface Whereabouts {
  readonly origin: string;
  /** How it was found, for error messages. */
  readonly where: string;
  readonly token: string | undefined;
  /** Whether the token is the one that the host keeps for its operator. */
  readonly operator: boolean;
}

/**
 * Finds the host and the token, runs `use`, and makes "connection refused" an error that says which host and why.
 * `account: 'needed'` fails early, with the mend, where the operator has not said for whom.
 */
export async function withConnection<T>(
  options: HostOptions,
  { account }: { readonly account: 'needed' | 'optional' | 'none' },
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const found = findHost(options);
  const { origin, token } = found;
  try {
    const api = createApi(origin, token);
    const named = options.account ?? process.env.ISOLAMBDA_ACCOUNT;
    const accountId = account === 'none' ? undefined : await findAccount(api, named, found.operator, account);
    return await use({ api: createApi(origin, token, accountId), origin, accountId });
  } catch (error) {
    if (!(error instanceof LambdaConnectionError)) throw error;
    throw new CommandError('unreachable', `no host answers at ${origin} (${found.where}): ${error.message}`, {
      mend: START_A_HOST,
      cause: error,
    });
  }
}

function createApi(origin: string, token: string | undefined, accountId?: string): LambdaApi {
  try {
    return new LambdaApi({ origin, token, accountId });
  } catch (error) {
    throw new CommandError('usage', error instanceof Error ? error.message : String(error), {
      mend: 'Write the origin as http://127.0.0.1:8080.',
    });
  }
}

function findHost(options: HostOptions): Whereabouts {
  const { env } = process;
  const dataDir = options.dataDir ?? env[variableOf('dataDir')] ?? OPTIONS.dataDir.default;
  const hostFile = join(dataDir, 'host.json');
  const running = originIn(hostFile);
  const named = options.origin ?? env.ISOLAMBDA_ORIGIN;
  const origin = named ?? running;
  if (origin === undefined)
    throw new CommandError('unreachable', `no host is known: there is no ${hostFile}`, {
      mend: START_A_HOST,
    });
  const where = options.origin
    ? 'from --origin'
    : env.ISOLAMBDA_ORIGIN
      ? 'from ISOLAMBDA_ORIGIN'
      : `from ${hostFile}`;
  const given = options.token ?? env.ISOLAMBDA_TOKEN;
  if (given !== undefined) return { origin, where, token: given, operator: false };
  // The operator's token is for its own host: it is never sent to another that somebody named.
  const own = named === undefined || named.replace(/\/+$/, '') === running;
  const token = own ? textIn(join(dataDir, 'operator.token')) : undefined;
  if (token === undefined && (options.account ?? env.ISOLAMBDA_ACCOUNT) === undefined)
    throw new CommandError('notAllowed', `no token for ${origin}`, {
      mend: 'Give one: --token TOKEN or ISOLAMBDA_TOKEN. The operator makes it: isolambda token create --account NAME.',
    });
  return { origin, where, token, operator: token !== undefined };
}

function originIn(path: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const origin =
      typeof parsed === 'object' && parsed !== null && 'origin' in parsed ? parsed.origin : undefined;
    return typeof origin === 'string' ? origin : undefined;
  } catch {
    return undefined;
  }
}

function textIn(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EACCES')
      throw new CommandError('notAllowed', `${path} is not yours to read`, {
        mend: 'Run this as the user that runs the host, or give a token: --token TOKEN or ISOLAMBDA_TOKEN.',
      });
    return undefined;
  }
}

async function findAccount(
  api: LambdaApi,
  named: string | undefined,
  operator: boolean,
  need: 'needed' | 'optional',
): Promise<string | undefined> {
  if (named !== undefined && isUuid(named)) return named;
  if (named === undefined && !operator) return undefined;
  const accounts = await allPages((paging) => api.getAccounts(paging));
  if (named !== undefined) {
    const matches = accounts.filter(({ name }) => name === named);
    if (matches.length === 1) return matches[0]?.account_id;
    const problem = matches.length === 0 ? 'there is no account' : 'more than one account is';
    throw new CommandError(matches.length === 0 ? 'notFound' : 'usage', `${problem} named "${named}"`, {
      mend: 'isolambda account list shows all of them, with their ids.',
    });
  }
  if (accounts.length === 1) return accounts[0]?.account_id;
  if (need === 'optional') return undefined;
  if (accounts.length === 0)
    throw new CommandError('usage', 'this host has no account yet', {
      mend: 'Make one, once: isolambda account create NAME',
    });
  throw new CommandError('usage', 'for which account? This host has more than one', {
    mend: `Add --account NAME or ID: ${accounts
      .slice(0, 10)
      .map(({ name }) => name)
      .join(', ')}`,
  });
}

/** The lambda that an id or a name stands for. */
export async function findLambda({ api }: Connection, given: string): Promise<{ readonly id: string }> {
  if (isUuid(given)) return { id: given };
  const lambdas = await allPages((paging) => api.getLambdas({ ...paging, name: given }));
  const matches = lambdas.filter(({ name }) => name === given);
  if (matches.length === 1 && matches[0]) return { id: matches[0].lambda_id };
  if (matches.length === 0)
    throw new CommandError('notFound', `there is no lambda named "${given}"`, {
      mend: 'isolambda list shows yours.',
    });
  throw new CommandError('usage', `${matches.length} lambdas are named "${given}"`, {
    mend: `Name one by its id: ${matches.map(({ lambda_id }) => lambda_id).join(', ')}`,
  });
}
