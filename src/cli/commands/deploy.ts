import { basename, extname, resolve } from 'node:path';
import { Command } from 'commander';
import { LambdaStateError } from '../../client/errors.ts';
import { CommandError } from '../command-error.ts';
import { findLambda, withConnection, withHost, type Connection, type HostOptions } from '../connection.ts';
import { problemLines } from '../failure.ts';
import { lambdaTypeOf } from '../folder/lambda-type.ts';
import { archiveOf, type PackedArchive } from '../folder/pack.ts';
import { jsonObjectArgument } from '../json-argument.ts';
import { examples, terminalOf, typeOption, wholeNumber } from '../options.ts';
import { paint, paintError, problemText, sizeText, type Terminal } from '../terminal.ts';
import { allPages, type DeployParameters, type LambdaParameters, type LambdaType } from '../views.ts';

interface DeployOptions extends HostOptions {
  readonly name?: string;
  readonly type?: LambdaType;
  readonly update?: string;
  readonly updateExisting?: boolean;
  readonly param?: string;
  readonly deployParam?: string;
  readonly wait: boolean;
  readonly timeout: number;
}

const DEFAULT_WAIT_S = 60;

export function deployCommand(): Command {
  const command = new Command('deploy')
    .description('Send a lambda to the host, and wait until it runs.')
    .argument('<folder|zip>', 'folder with lambda_main.ts or .js at its root, or an archive of one')
    .option('--name <name>', "the lambda's name (default: that of the folder or zip)")
    .addOption(
      typeOption('kind of lambda (default: what package.json says under isolambda.type, else standalone)'),
    )
    .option(
      '--update <id|name>',
      'make a new version of this lambda; the old one serves until the new one runs',
    )
    .option('--update-existing', 'make a new version where a lambda of this name exists, else a new lambda')
    .option('--param <json|@file>', 'more parameters, such as {"description": "...", "user_config": {}}')
    .option('--deploy-param <json|@file>', 'limits, instances and env, such as {"memory_mb": 64}')
    .option('--no-wait', 'do not wait until it runs')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 'seconds'), DEFAULT_WAIT_S);
  withHost(command);
  examples(
    command,
    ['isolambda deploy my-lambda'],
    ['isolambda deploy my-lambda --update-existing', 'again, after an edit'],
    ['isolambda deploy my.zip --name greet --deploy-param \'{"timeout_ms": 500}\''],
  );
  return command.action(async (path: string, options: DeployOptions) => {
    if (options.update !== undefined && options.updateExisting)
      throw new CommandError('usage', '--update and --update-existing exclude each other');
    await deploy(path, options);
  });
}

async function deploy(path: string, options: DeployOptions): Promise<void> {
  const terminal = terminalOf(options);
  const name = options.name ?? basename(resolve(path), extname(path) === '.zip' ? '.zip' : '');
  const parameters = options.param === undefined ? {} : await jsonObjectArgument(options.param, '--param');
  const deployParameters =
    options.deployParam === undefined
      ? undefined
      : await jsonObjectArgument(options.deployParam, '--deploy-param');
  const archive = archiveOf(path);
  await withConnection(options, { account: 'needed' }, async (connection) => {
    const started = performance.now();
    const existing = await existingLambda(connection, name, options);
    const progress = terminal.progress(`sending ${describeArchive(archive)}`);
    try {
      const upload = {
        archive: archive.bytes,
        // The host checks what came from the command line; its schema is the one that counts.
        parameters: (existing === undefined
          ? { lambda_type: options.type ?? lambdaTypeOf(path), name, ...parameters }
          : { ...(options.type && { lambda_type: options.type }), ...parameters }) as LambdaParameters,
        deployParameters: deployParameters as DeployParameters | undefined,
        timeoutMs: options.timeout * 1_000,
      };
      const { json } =
        existing === undefined
          ? await connection.api.createLambda(upload)
          : await connection.api.updateLambda({ ...upload, lambdaId: existing });
      if (options.wait) {
        progress.update(`building ${name}, version ${json.version}`);
        await untilRunning(connection, json.lambda_id, json.version, options.timeout);
      }
      progress.end();
      if (options.wait) await tellWarnings(connection, terminal, json.lambda_id, json.version);
      const ms = Math.round(performance.now() - started);
      const status = options.wait ? 'running' : 'building';
      const url = `${connection.origin}/1/lambdas/${json.lambda_id}/proxy/main`;
      terminal.answer({ ...json, name, status, url, elapsed_ms: ms }, () =>
        [
          `${paint('green', '✓')} ${paint('bold', name)} version ${json.version} is ${status} ${paint('dim', `(${describeArchive(archive)}, ${ms} ms)`)}`,
          `  id    ${json.lambda_id}`,
          `  URL   ${url}`,
          `  call  isolambda invoke ${name}`,
        ].join('\n'),
      );
    } finally {
      progress.end();
    }
  });
}

const describeArchive = (archive: PackedArchive): string =>
  `${archive.files === undefined ? '' : `${archive.files.length} ${archive.files.length === 1 ? 'file' : 'files'}, `}${sizeText(archive.bytes.length)}`;

/** The lambda to update, or undefined to make a new one. */
async function existingLambda(
  connection: Connection,
  name: string,
  options: DeployOptions,
): Promise<string | undefined> {
  if (options.update !== undefined) return (await findLambda(connection, options.update)).id;
  const named = (await allPages((paging) => connection.api.getLambdas({ ...paging, name }))).filter(
    (lambda) => lambda.name === name,
  );
  if (named.length === 0) return undefined;
  if (!options.updateExisting)
    throw new CommandError('refused', `a lambda named "${name}" exists already`, {
      mend: 'Make a new version of it: --update-existing. Or choose another name: --name NAME.',
    });
  return (await findLambda(connection, name)).id;
}

async function untilRunning(
  connection: Connection,
  lambdaId: string,
  version: number,
  timeoutS: number,
): Promise<void> {
  try {
    await connection.api.waitUntilRunning(lambdaId, { version, timeoutMs: timeoutS * 1_000 });
  } catch (error) {
    if (!(error instanceof LambdaStateError)) throw error;
    // The state says that it failed; the build says why.
    const build = (await connection.api.getBuild({ lambdaId, version })).json;
    throw new CommandError('refused', error.message, {
      mend: `Mend it, and deploy it again with --update ${lambdaId}; isolambda status ${lambdaId} shows the build log.`,
      problems: problemLines(build.problems),
      cause: error,
    });
  }
}

async function tellWarnings(
  { api }: Connection,
  terminal: Terminal,
  lambdaId: string,
  version: number,
): Promise<void> {
  const { problems } = (await api.getBuild({ lambdaId, version })).json;
  if (problems.length === 0) return;
  terminal.note(
    `${paintError('yellow', 'warnings:')}\n${problemLines(problems).map(problemText).join('\n')}`,
  );
}
