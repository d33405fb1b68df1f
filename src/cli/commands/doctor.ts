import { Command } from 'commander';
import type { OptionName } from '../../config/options.ts';
import { EXIT } from '../exit-codes.ts';
import { CONFIG_FILE, CONFIG_VARIABLE, readHostConfig } from '../host-config.ts';
import { examples, terminalOf, withJson, type JsonOption } from '../options.ts';
import { paint } from '../terminal.ts';

interface DoctorOptions extends JsonOption {
  readonly config?: string;
  readonly dataDir?: string;
  readonly sandboxJail?: string;
}

const MARK = {
  stands: paint('green', '✓'),
  advice: paint('yellow', '!'),
  missing: paint('red', '✗'),
} as const;

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description(
      'Say which walls between tenants and this machine stand here, and how to raise the others. Starts a runner to see. Ends with 1 where a wall is missing.',
    )
    .option(
      '--config <file>',
      `the host's configuration file (default: ./${CONFIG_FILE} where there is one; env ${CONFIG_VARIABLE})`,
    )
    .option('--data-dir <dir>', "the host's data folder (as for serve)")
    .option('--sandbox-jail <choice>', 'auto, bubblewrap or none (as for serve)');
  withJson(command);
  examples(
    command,
    ['isolambda doctor', ''],
    ['isolambda doctor --json', 'for a provisioning script'],
    ['NODE_ENV=production isolambda doctor --data-dir /var/lib/isolambda', 'as the service will run'],
  );
  return command.action(diagnose);
}

async function diagnose(options: DoctorOptions): Promise<void> {
  const flags: Partial<Record<OptionName, string | undefined>> = {
    dataDir: options.dataDir,
    jail: options.sandboxJail,
  };
  const { config } = readHostConfig({ configPath: options.config, flags, limits: [], env: process.env });
  const terminal = terminalOf(options);
  // Loaded here: a runner's image takes esbuild, and the other commands have no use for it.
  const { inspectWalls } = await import('../../walls.ts');
  const walls = await inspectWalls(config);
  const missing = walls.filter(({ state }) => state === 'missing');
  terminal.answer({ ok: missing.length === 0, walls }, () =>
    [
      ...walls.map(({ name, state, found, raise }) =>
        [
          `${MARK[state]} ${name.padEnd(18)} ${found}`,
          ...(raise === undefined ? [] : [`  ${''.padEnd(18)} ${raise}`]),
        ].join('\n'),
      ),
      missing.length === 0
        ? 'All walls stand.'
        : `Missing: ${missing.map(({ name }) => name).join(', ')}. A tenant that escapes V8 would get further than it should.`,
    ].join('\n'),
  );
  if (missing.length > 0) process.exitCode = EXIT.failed.code;
}
