import { join, relative } from 'node:path';
import closeWithGrace from 'close-with-grace';
import { Command } from 'commander';
import type { Host } from '../../app.ts';
import { ConfigError } from '../../config/config.ts';
import { LIMIT_KEYS, LIMITS } from '../../config/limits.ts';
import {
  flagOf,
  OPTION_NAMES,
  OPTIONS,
  variableOf,
  type OptionName,
  type OptionSpec,
} from '../../config/options.ts';
import { createLog, type Logger } from '../../telemetry/log.ts';
import { CONFIG_FILE, CONFIG_VARIABLE, limitVariableOf, readHostConfig } from '../host-config.ts';
import { examples, terminalOf, withJson } from '../options.ts';
import { paint } from '../terminal.ts';
import { VERSION } from '../../config/version.ts';

/** What closing may take beyond the grace of the work in flight: runners and the store have to end too. */
const CLOSE_MARGIN_MS = 5_000;

export function serveCommand(): Command {
  const command = new Command('serve').description(
    'Start a host, and serve until SIGTERM or SIGINT; SIGHUP reloads limits, services and the log level. Flags win over environment variables, these over the configuration file.',
  );
  command.option(
    '--config <file>',
    `configuration file, YAML (default: ./${CONFIG_FILE} where there is one; env ${CONFIG_VARIABLE})`,
  );
  for (const name of OPTION_NAMES)
    command.option(`${flagOf(name)}${placeholder(OPTIONS[name])}`, describeOption(name));
  command.option(
    '--limit <key=number>',
    "ceiling of a limit, over every account's quota; may be given again (keys below)",
    (pair: string, before: string[]) => [...before, pair],
    [],
  );
  withJson(command);
  command.addHelpText('after', `\nLimits:\n${limitHelp()}`);
  examples(
    command,
    ['isolambda serve', 'http://127.0.0.1:8080, data in ./data'],
    ['isolambda serve --port 0 --data-dir /var/lib/isolambda', 'a free port; see host.json there'],
    ['isolambda serve --limit memory_mb=256 --log-level warn'],
    ['ISOLAMBDA_PORT=9000 isolambda serve'],
  );
  return command.action(async (given: Record<string, unknown>) => serve(given, command));
}

async function serve(given: Record<string, unknown>, command: Command): Promise<void> {
  const flags = Object.fromEntries(
    OPTION_NAMES.map((name) => [name, given[attributeOf(command, name)] as string | boolean | undefined]),
  );
  const read = (): ReturnType<typeof readHostConfig> =>
    readHostConfig({
      configPath: given.config as string | undefined,
      flags,
      limits: given.limit as string[],
      env: process.env,
    });
  const { config, file } = read();
  const terminal = terminalOf(given);
  // Loaded here, not at the top: the other commands have no use for a web server and a database.
  const { startHost } = await import('../../app.ts');
  const log = createLog(config.logLevel);
  const starting = startHost({ config, log });
  // Before it has started: a signal that comes meanwhile ends it as soon as it has, and not in the middle.
  const closing = closeWithGrace(
    {
      delay: config.shutdownDelayMs + config.shutdownGraceMs + CLOSE_MARGIN_MS,
      // It reloads the configuration.
      skip: ['SIGHUP'],
      logger: false,
      onSecondSignal: (signal) => log.warn({ signal }, 'second signal: stopping at once'),
      onTimeout: (delay) => log.error({ delay }, 'work in flight did not end in time: stopping at once'),
    },
    async ({ signal, err }) => {
      if (err) log.error({ err }, 'a fault of the host: stopping');
      else log.info({ signal }, 'draining');
      await (await starting).close();
    },
  );
  // A terminal that goes away takes the host along, as it would without a handler.
  const onHangUp = (): void =>
    void (process.stdin.isTTY
      ? process.kill(process.pid, 'SIGTERM')
      : starting.then((started) => reload(started, read, log)));
  process.on('SIGHUP', onHangUp);
  const host = await starting.catch((error: unknown) => {
    closing.uninstall();
    process.off('SIGHUP', onHangUp);
    throw error;
  });
  const dataDir = config.dataDir;
  terminal.answer({ origin: host.origin, pid: process.pid, version: VERSION, data_dir: dataDir }, () =>
    [
      `${paint('bold', `isolambda ${VERSION}`)} listens on ${paint('cyan', host.origin)}`,
      `  data         ${dataDir}${file === undefined ? '' : `, configured by ${file}`}`,
      `  your token   in ${relative('.', join(dataDir, 'operator.token')) || dataDir}, which the commands find by themselves`,
      `  API          ${host.origin}/docs`,
      `  next         isolambda account create NAME, then isolambda deploy DIR`,
    ].join('\n'),
  );
}

/** A configuration with a problem changes nothing: the host goes on with the one it has. */
function reload(host: Host, read: () => ReturnType<typeof readHostConfig>, log: Logger): void {
  try {
    const { config, file } = read();
    const { changed, needRestart } = host.reload(config);
    log.info(
      { file, changed },
      changed.length === 0 ? 'configuration read again: nothing to change' : 'configuration reloaded',
    );
    if (needRestart.length > 0)
      log.warn({ file, needRestart }, 'changes that take a restart of the host: they are not in force');
  } catch (error) {
    if (error instanceof ConfigError)
      log.error(
        { problems: error.problems },
        'the configuration has problems: the one before stays in force',
      );
    else log.error({ err: error }, 'the configuration could not be reloaded: the one before stays in force');
  }
}

const attributeOf = (command: Command, name: OptionName): string =>
  command.options.find((option) => option.long === flagOf(name))?.attributeName() ?? name;

function placeholder(option: OptionSpec): string {
  switch (option.type) {
    case 'switch':
      return '';
    case 'choice':
      return ' <choice>';
    case 'list':
      return ' <a,b,...>';
    case 'number':
      return ' <number>';
    case 'text':
      return ' <text>';
  }
}

function describeOption(name: OptionName): string {
  const option: OptionSpec = OPTIONS[name];
  const choices = option.type === 'choice' ? `; one of ${option.choices.join(', ')}` : '';
  const initial = String(option.default) || 'none';
  return `${option.about}${choices} (default: ${initial}; env ${variableOf(name)}; file ${option.key})`;
}

function limitHelp(): string {
  const width = Math.max(...LIMIT_KEYS.map((key) => key.length));
  const rows = LIMIT_KEYS.map((key) => {
    const { about, unit, default: initial, scope } = LIMITS[key];
    const where = scope === 'lambda' ? 'account and lambda' : 'account';
    return `  ${key.padEnd(width)}  ${about} (default: ${initial} ${unit}; of ${where}; env ${limitVariableOf(key)})`;
  });
  return [
    '  An account gets the default; its quota may raise that, up to the ceiling that is set here: by --limit KEY=N,',
    '  by the variable, or by limits.KEY in the file. There is no ceiling where none is set.',
    ...rows,
  ].join('\n');
}
