import { Command } from 'commander';
import { findLambda, withConnection, withHost, type HostOptions } from '../connection.ts';
import { problemLines } from '../failure.ts';
import { examples, terminalOf } from '../options.ts';
import { paint, problemText, sizeText, table } from '../terminal.ts';
import type { BuildView, LambdaView, StatusView } from '../views.ts';

export function statusCommand(): Command {
  const command = new Command('status')
    .description('Show a lambda: its state, its instances, and its last build.')
    .argument('<id|name>', 'which lambda');
  withHost(command);
  examples(command, ['isolambda status my-lambda'], ['isolambda status my-lambda --json']);
  return command.action(async (given: string, options: HostOptions) => {
    await withConnection(options, { account: 'optional' }, async (connection) => {
      const lambdaId = (await findLambda(connection, given)).id;
      const [lambda, status, build] = await Promise.all([
        connection.api.getLambda({ lambdaId }),
        connection.api.getStatus({ lambdaId }),
        connection.api.getBuild({ lambdaId }),
      ]);
      terminalOf(options).answer({ lambda: lambda.json, status: status.json, build: build.json }, () =>
        statusText(lambda.json, status.json, build.json),
      );
    });
  });
}

function statusText(lambda: LambdaView, status: StatusView, build: BuildView): string {
  const colour = status.status === 'running' ? 'green' : status.status === 'failed' ? 'red' : 'yellow';
  const lines = [
    `${paint('bold', lambda.name)} is ${paint(colour, status.status)}${status.detail ? `: ${status.detail}` : ''}`,
    `  id       ${lambda.lambda_id}`,
    `  type     ${lambda.lambda_type}`,
    `  version  ${status.version ?? 'none serves'}`,
    `  account  ${lambda.account_id}`,
    `  updated  ${lambda.updated_at}`,
  ];
  lines.push('', `build of version ${build.version}: ${build.status}`);
  lines.push(
    ...build.log.map(({ time, message }) => `  ${paint('dim', time)} ${message}`),
    ...problemLines(build.problems).map(problemText),
  );
  lines.push('');
  if (status.instances.length === 0) lines.push('no instance runs: the first call starts one');
  else
    lines.push(
      table(
        ['INSTANCE', 'STATE', 'HEAP', 'CPU', 'REQUESTS', 'IN FLIGHT'],
        status.instances.map((instance, at) => [
          String(at + 1),
          instance.state,
          sizeText(instance.heap_bytes),
          `${instance.cpu_ms.toFixed(1)} ms`,
          String(instance.requests),
          String(instance.in_flight),
        ]),
      ),
    );
  return lines.join('\n');
}
