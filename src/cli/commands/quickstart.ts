import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import closeWithGrace from 'close-with-grace';
import { Command } from 'commander';
import { compileConfig } from '../../config/config.ts';
import { createLog } from '../../telemetry/log.ts';
import { CommandError } from '../command-error.ts';
import { FIXTURES } from '../quickstart/actors.ts';
import { line, since, step } from '../quickstart/scene.ts';
import { sayHowToGoOn, tour } from '../quickstart/tour.ts';
import { paint } from '../terminal.ts';

/** What closing may take beyond the grace of the work in flight. */
const CLOSE_MARGIN_MS = 5_000;

export function quickstartCommand(): Command {
  return new Command('quickstart')
    .description(
      'Start a host, deploy three lambdas for two accounts, call them, and leave the host up to be tried.',
    )
    .option('--once', 'stop the host and exit when all was shown')
    .action(async ({ once }: { readonly once?: boolean }) => {
      if (!existsSync(FIXTURES))
        throw new CommandError('failed', 'the quickstart needs the source tree of isolambda', {
          mend: 'With an installed package, start with: isolambda init my-lambda',
        });
      await quickstart(once === true);
    });
}

async function quickstart(once: boolean): Promise<void> {
  // A folder of its own: it neither meets nor disturbs a host that runs on ./data.
  const dataDir = mkdtempSync(join(tmpdir(), 'isolambda-quickstart-'));
  const removeData = (): void => rmSync(dataDir, { recursive: true, force: true });
  const { startHost } = await import('../../app.ts');
  line(
    `${paint('bold', 'isolambda quickstart')}: one host, two accounts that do not trust each other, three lambdas`,
  );

  const started = performance.now();
  const config = compileConfig({ flags: { port: '0', dataDir, logLevel: 'error' } });
  const host = await startHost({ config, log: createLog(config.logLevel) }).catch((error: unknown) => {
    removeData();
    throw error;
  });
  const stop = async (): Promise<void> => {
    await host.close();
    removeData();
  };
  const closing = closeWithGrace({ delay: config.shutdownGraceMs + CLOSE_MARGIN_MS, logger: false }, stop);
  try {
    step('Start a host', `${paint('cyan', host.origin)}, ready in ${since(started)}`);
    const lambdas = await tour(host.origin, dataDir);
    if (!once) return sayHowToGoOn(host.origin, dataDir, lambdas);
  } catch (error) {
    closing.uninstall();
    await stop();
    throw error;
  }
  closing.uninstall();
  await stop();
  line(
    `\n${paint('green', '✓')} All of it worked, and the host has stopped. Without --once it stays up, for you to try.`,
  );
}
