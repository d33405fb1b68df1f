import { writeFileSync } from 'node:fs';
import closeWithGrace from 'close-with-grace';
import { Command } from 'commander';
import { createLog } from '../../telemetry/log.ts';
import { CommandError } from '../command-error.ts';
import { EXIT } from '../exit-codes.ts';
import { echoArchive, moduleArchive, parseModuleName } from '../folder/module.ts';
import { examples, wholeNumber } from '../options.ts';
import { paint } from '../terminal.ts';

interface RunCommandOptions {
  readonly url?: string;
  readonly queue?: string;
  readonly tracing?: true;
  readonly profiling?: true;
  readonly durable?: true;
  readonly quorum?: true;
  readonly passive?: true;
  readonly concurrency: number;
  readonly memory: number;
  readonly timeout: number;
  readonly grace: number;
  readonly egress: readonly string[];
  readonly stackTraces?: true;
  readonly logLevel: string;
}

export function runCommand(): Command {
  const command = new Command('run')
    .description(
      'Serve one lambda from an AMQP queue, in a jailed runner: each message is decoded by its content_type\n' +
        '(application/octet-stream = bytes, application/json = JSON), lambda_handler(event, context) is called,\n' +
        'and what it returns is sent to reply_to with the correlation_id of the request.\n' +
        'Without a module it echoes. Needs no host.',
    )
    .argument(
      '[<module>[:<handler>]]',
      'a file, a folder with lambda_main, or a zip; and the export to call (default: lambda_handler)',
    )
    .option(
      '-u, --url <url>',
      'broker: amqp://[user:password@]host[:port][/vhost][?option=value&...] (default: AMQP_URL, else the local broker)',
    )
    .option('-q, --queue <name>', "queue (default: the module's QUEUE_NAME, else echo-processor)")
    .option(
      '-t, --tracing',
      'trace to the OTLP endpoint in OTEL_EXPORTER_OTLP_ENDPOINT (default: http://127.0.0.1:4318)',
    )
    .option('-p, --profiling', 'profile the isolate, and write a .cpuprofile at the end')
    .option('--durable', 'declare the queue durable')
    .option('--quorum', 'declare a quorum queue')
    .option('--passive', 'declare nothing: the queue must be there')
    .option(
      '--concurrency <n>',
      'messages served at once; 1 is the blocking runtime',
      wholeNumber(1, 'messages'),
      100,
    )
    .option('--memory <mb>', 'heap of the isolate', wholeNumber(8, 'MiB'), 128)
    .option('--timeout <ms>', 'time of one call', wholeNumber(10, 'milliseconds'), 30_000)
    .option('--grace <ms>', 'time that running calls have on SIGTERM', wholeNumber(0, 'milliseconds'), 10_000)
    .option(
      '--egress <rule>',
      'where fetch may go: host[:port], *.host, address or range; may be given again',
      (rule: string, before: string[]) => [...before, rule],
      [],
    )
    .option('--stack-traces', 'error replies hold the stack')
    .option('--log-level <level>', 'debug, info, warn, error or silent', 'info');
  examples(
    command,
    ['isolambda run', 'echo, on the queue echo-processor'],
    ['isolambda run text_to_bytes.ts -q texts'],
    ['isolambda run my-lambda:handle --concurrency 1 -u amqp://user:password@broker'],
  );
  return command.action(run);
}

async function run(module: string | undefined, options: RunCommandOptions): Promise<void> {
  const log = createLog(options.logLevel);
  const name = module === undefined ? undefined : parseModuleName(module);
  const archive = name === undefined ? echoArchive() : moduleArchive(name.path);
  if ([options.durable, options.quorum, options.passive].filter(Boolean).length > 1) {
    throw new CommandError('usage', '--durable, --quorum and --passive exclude one another');
  }
  let profile: Uint8Array | undefined;
  // Loaded here: a builder, a pool and an AMQP client that the other commands have no use for.
  const { runLambda } = await import('../../run.ts');
  const { DEFAULT_AMQP_URL } = await import('../../amqp/url.ts');
  const stopped = new AbortController();
  const starting = runLambda({
    archive,
    handler: name?.handler,
    url: options.url ?? process.env.AMQP_URL ?? DEFAULT_AMQP_URL,
    queue: options.queue,
    queueKind: options.passive
      ? 'passive'
      : options.quorum
        ? 'quorum'
        : options.durable
          ? 'durable'
          : 'transient',
    concurrency: options.concurrency,
    memoryMb: options.memory,
    timeoutMs: options.timeout,
    egress: options.egress,
    stackTraces: options.stackTraces === true,
    ...(options.profiling && { onProfile: (bytes: Uint8Array) => void (profile = bytes) }),
    tracing: options.tracing === true,
    signal: stopped.signal,
    onFailed: (error) => {
      log.fatal({ err: error }, 'the broker is lost for good');
      void starting.then((lambda) => lambda.stop(0)).finally(() => process.exit(EXIT.failed.code));
    },
    log,
  });
  // From the first moment on: a signal in the midst of the start must leave nothing behind either.
  const signals = closeWithGrace(
    {
      delay: options.grace + CLOSE_MARGIN_MS,
      logger: false,
      onSecondSignal: () => log.warn('second signal: stopping at once'),
    },
    async ({ err }) => {
      if (err) log.error({ err }, 'a fault of the runtime: stopping');
      stopped.abort();
      const lambda = await starting.catch(() => undefined);
      if (!lambda) return;
      await lambda.stop(options.grace);
      if (profile) {
        const file = `isolambda-${process.pid}.cpuprofile`;
        writeFileSync(file, profile);
        process.stdout.write(`profile: ${file} (open it in Chrome DevTools or speedscope)\n`);
      }
      const { received, replied, failed } = lambda.stats();
      process.stdout.write(`${received} received, ${replied} replied, ${failed} of them with an error\n`);
    },
  );
  const lambda = await starting.catch((error: unknown) => {
    // The signal's own end follows: it is no failure.
    if (stopped.signal.aborted) return undefined;
    signals.uninstall();
    throw error;
  });
  if (!lambda || stopped.signal.aborted) return;
  process.stdout.write(
    `${paint('green', '✓')} serving ${name?.path ?? 'echo'} on queue ${lambda.queue} (jail: ${lambda.jail})\n`,
  );
}

/** The runner and the connections have to end, too. */
const CLOSE_MARGIN_MS = 10_000;
