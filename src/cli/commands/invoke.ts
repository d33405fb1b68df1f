import { Command, InvalidArgumentError } from 'commander';
import type { LambdaApi } from '../../client/lambda-api.ts';
import type { LambdaReply } from '../../client/reply.ts';
import { CommandError } from '../command-error.ts';
import { findLambda, withConnection, withHost, type HostOptions } from '../connection.ts';
import { EXIT, type ExitName } from '../exit-codes.ts';
import { mendOf } from '../failure.ts';
import { textArgument } from '../json-argument.ts';
import { examples, terminalOf, wholeNumber } from '../options.ts';
import { paint, paintError, type Terminal } from '../terminal.ts';

interface InvokeOptions extends HostOptions {
  readonly data?: string;
  readonly request?: string;
  readonly header: readonly (readonly [name: string, value: string])[];
  readonly include?: boolean;
  readonly timeout: number;
}

const VERBS = {
  GET: 'proxyLambdaGet',
  POST: 'proxyLambdaPost',
  PUT: 'proxyLambdaPut',
  PATCH: 'proxyLambdaPatch',
  DELETE: 'proxyLambdaDelete',
  HEAD: 'proxyLambdaHead',
  OPTIONS: 'proxyLambdaOptions',
} as const satisfies Record<string, keyof LambdaApi>;
type Verb = keyof typeof VERBS;
const DEFAULT_TIMEOUT_S = 60;

export function invokeCommand(): Command {
  const command = new Command('invoke')
    .description('Call a lambda, and print its reply.')
    .argument('<id|name>', 'which lambda')
    .argument('[path]', 'main, healthcheck, docs/spec, config, or an added route; may hold a query', 'main')
    .option('-d, --data <json|@file|->', "the request's body; - reads standard input")
    .option('-X, --request <method>', 'GET, POST, ... (default: POST for main and with -d, else GET)')
    .option('-H, --header <name: value>', 'a request header; may be given again', collectHeader, [])
    .option('-i, --include', 'print status and headers too')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 'seconds'), DEFAULT_TIMEOUT_S);
  withHost(command);
  command.addHelpText(
    'after',
    `\nExits with ${EXIT.lambdaError.code} where the reply's status is 400 or above; the reply is printed all the same.`,
  );
  examples(
    command,
    ['isolambda invoke my-lambda'],
    ['isolambda invoke my-lambda -d \'{"name": "Ada"}\''],
    ['isolambda invoke my-lambda users/42?full=1 -X DELETE -i'],
    ["cat photo.jpg | isolambda invoke resize -d - -H 'Content-Type: image/jpeg' > small.jpg"],
  );
  return command.action(invoke);
}

function collectHeader(given: string, before: InvokeOptions['header']): InvokeOptions['header'] {
  const colon = given.indexOf(':');
  const pair = [given.slice(0, colon).trim(), given.slice(colon + 1).trim()] as const;
  try {
    new Headers([[...pair]]);
  } catch {
    throw new InvalidArgumentError('Write it as "Name: value".');
  }
  if (colon < 1) throw new InvalidArgumentError('Write it as "Name: value".');
  return [...before, pair];
}

async function invoke(lambda: string, path: string, options: InvokeOptions): Promise<void> {
  const terminal = terminalOf(options);
  const method = verbOf(options, path);
  const body = options.data === undefined ? undefined : await textArgument(options.data, '-d');
  const headers = new Headers(options.header.map(([name, value]) => [name, value]));
  if (body !== undefined && !headers.has('content-type')) headers.set('content-type', jsonOrUsage(body));
  await withConnection(options, { account: 'optional' }, async (connection) => {
    const lambdaId = (await findLambda(connection, lambda)).id;
    const progress = terminal.progress(`waiting for ${lambda}`);
    const reply = await connection.api[VERBS[method]]({
      lambdaId,
      path,
      headers: Object.fromEntries(headers),
      timeoutMs: options.timeout * 1_000,
      ...(body === undefined ? {} : { body }),
    }).finally(() => progress.end());
    printReply(terminal, reply, options.include === true);
    if (reply.statusCode >= 400) process.exitCode = EXIT[explain(terminal, reply)].code;
  });
}

function verbOf({ request, data }: InvokeOptions, path: string): Verb {
  const isMain = /^\/?main(\?|$)/.test(path);
  const wanted = request?.toUpperCase() ?? (isMain || data !== undefined ? 'POST' : 'GET');
  if (!Object.hasOwn(VERBS, wanted))
    throw new CommandError('usage', `-X ${wanted}: a lambda takes ${Object.keys(VERBS).join(', ')}`);
  return wanted as Verb;
}

/** A body without a Content-Type is JSON; a shell's quotes went wrong more often than somebody meant plain text. */
function jsonOrUsage(body: Buffer): string {
  try {
    JSON.parse(body.toString('utf8'));
    return 'application/json';
  } catch (error) {
    throw new CommandError('usage', `-d is not JSON: ${error instanceof Error ? error.message : ''}`, {
      mend: "Quote it for the shell: -d '{\"key\": 1}'. To send it as it is, say what it is: -H 'Content-Type: text/plain'.",
    });
  }
}

function printReply(terminal: Terminal, reply: LambdaReply, include: boolean): void {
  const type = reply.headers.get('content-type') ?? '';
  if (terminal.json) {
    const shown = jsonOf(reply);
    const isText = shown === undefined && isTextual(type);
    terminal.answer(
      {
        status: reply.statusCode,
        headers: Object.fromEntries(reply.headers),
        ...(shown !== undefined
          ? { body: shown.value }
          : isText
            ? { body: reply.text }
            : { body_base64: Buffer.from(reply.body).toString('base64') }),
      },
      () => '',
    );
    return;
  }
  if (include) {
    const lines = [...reply.headers].map(([name, value]) => `${paint('cyan', name)}: ${value}`);
    process.stdout.write(`${paint('bold', `HTTP ${reply.statusCode}`)}\n${lines.join('\n')}\n\n`);
  }
  if (!process.stdout.isTTY) process.stdout.write(reply.body);
  else if (jsonOf(reply) !== undefined) process.stdout.write(`${JSON.stringify(reply.json, null, 2)}\n`);
  else if (isTextual(type)) process.stdout.write(`${reply.text.replace(/\n$/, '')}\n`);
  else if (reply.body.byteLength > 0)
    terminal.note(
      `${reply.body.byteLength} bytes of ${type || 'an unnamed type'}: send them to a file with > FILE`,
    );
}

const isTextual = (type: string): boolean => /^text\/|json|xml|javascript|^$/.test(type);

function jsonOf(reply: LambdaReply): { readonly value: unknown } | undefined {
  if (!/[/+]json\b/.test(reply.headers.get('content-type') ?? '')) return undefined;
  try {
    return { value: reply.json };
  } catch {
    return undefined;
  }
}

/** Says on standard error what went wrong, and which exit code that is. */
function explain(terminal: Terminal, reply: LambdaReply): ExitName {
  const status = reply.statusCode;
  const body = jsonOf(reply)?.value;
  const told = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const known = typeof told.error_code === 'number';
  const what = known ? `${String(told.desc)}: ${String(told.detail)}` : 'the lambda answered so itself';
  terminal.note(`${paintError('red', 'error:')} HTTP ${status}, ${what}`);
  const mend = known ? mendOf(Number(told.error_code), status) : undefined;
  if (mend !== undefined) terminal.note(`${paintError('green', 'mend:')} ${mend}`);
  // A reply that a lambda made carries its version; without it the host refused.
  if (reply.headers.has('lambda-version')) return 'lambdaError';
  if (status === 401 || status === 403) return 'notAllowed';
  return status === 404 ? 'notFound' : 'lambdaError';
}
