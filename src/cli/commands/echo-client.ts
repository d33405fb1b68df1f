import { Command, Option } from 'commander';
import { RpcClient } from '../../client/rpc.ts';
import { DEFAULT_AMQP_URL } from '../../amqp/url.ts';
import { runEchoLoad, type EchoReport } from '../echo-load.ts';
import { CommandError } from '../command-error.ts';
import { examples, wholeNumber } from '../options.ts';
import { createTerminal, paint } from '../terminal.ts';

interface EchoClientOptions {
  readonly url?: string;
  readonly queue: string;
  readonly count: number;
  readonly inFlight: number;
  readonly payload: number;
  readonly json?: true;
  readonly tracing?: true;
  readonly timeout: number;
  readonly format: 'text' | 'json';
}

export function echoClientCommand(): Command {
  const command = new Command('echo-client')
    .description(
      'Call an echo lambda over AMQP many times: check every reply against its request, and print throughput and latency.',
    )
    .option('-u, --url <url>', 'broker (default: AMQP_URL, else the local one)')
    .option('-q, --queue <name>', 'queue', 'echo-processor')
    .option('-n, --count <n>', 'calls', wholeNumber(1, 'calls'), 1_000_000)
    .option('--in-flight <n>', 'calls at once', wholeNumber(1, 'calls'), 500)
    .option('--payload <bytes>', 'bytes of each request', wholeNumber(1, 'bytes'), 11)
    .option('--json', 'send JSON instead of bytes')
    .option('-t, --tracing', 'send a W3C traceparent with each call')
    .option(
      '--timeout <ms>',
      'a call without a reply for this long is missing',
      wholeNumber(1, 'milliseconds'),
      30_000,
    )
    .addOption(
      new Option('--format <format>', 'of what is printed at the end')
        .choices(['text', 'json'])
        .default('text'),
    );
  examples(
    command,
    ['isolambda echo-client -n 100000'],
    ['isolambda echo-client --json --in-flight 1 -n 5000'],
  );
  return command.action(echo);
}

async function echo(options: EchoClientOptions): Promise<void> {
  const terminal = createTerminal({ json: options.format === 'json' });
  const client = new RpcClient({
    url: options.url ?? process.env.AMQP_URL ?? DEFAULT_AMQP_URL,
    timeoutMs: options.timeout,
    name: 'isolambda echo-client',
  });
  const progress = terminal.progress(`calling ${options.queue}`);
  try {
    await client.connect();
    const report = await runEchoLoad({
      client,
      queue: options.queue,
      count: options.count,
      inFlight: options.inFlight,
      payloadBytes: options.payload,
      json: options.json === true,
      tracing: options.tracing === true,
      onProgress: (done) =>
        progress.update(
          `${bar(done / options.count)} ${done.toLocaleString('en')} of ${options.count.toLocaleString('en')}`,
        ),
    });
    progress.end();
    terminal.answer(report, () => reportText(report));
    if (report.wrong + report.failed > 0)
      throw new CommandError(
        'failed',
        `${report.wrong} replies were wrong, ${report.failed} calls failed: ${report.firstError}`,
      );
  } finally {
    progress.end();
    await client.close();
  }
}

const BAR_WIDTH = 30;
const bar = (share: number): string => '█'.repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, '░');

function reportText({ right, wrong, failed, seconds, perSecond, latencyMs }: EchoReport): string {
  const mark = wrong + failed === 0 ? paint('green', '✓') : paint('red', '✗');
  return [
    `${mark} ${right} right, ${wrong} wrong, ${failed} failed in ${seconds.toFixed(1)} s`,
    `  ${Math.round(perSecond)} calls per second`,
    `  latency p50 ${latencyMs.p50.toFixed(2)} ms, p90 ${latencyMs.p90.toFixed(2)} ms, p99 ${latencyMs.p99.toFixed(2)} ms, max ${latencyMs.max.toFixed(2)} ms`,
  ].join('\n');
}
