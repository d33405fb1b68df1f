import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { VERSION } from '../../src/config/version.ts';
import {
  runCli,
  serveHost,
  tempFolder,
  type CliOptions,
  type CliResult,
  type ServedHost,
} from '../cli-process.ts';

const GREET = `
import { lambdaConfig, UserException, type StandaloneLambdaRequest } from 'lambda-tools';
class Refused extends UserException { static statusCode = 418; static errorText = 'no tea'; }
export async function main(request: StandaloneLambdaRequest) {
  const { name } = (request.json ?? {}) as { name?: string };
  if (name === 'tea') throw new Refused();
  return { greeting: lambdaConfig['greeting'] + ', ' + name };
}
`;

describe('the commands against a host', { timeout: 300_000 }, () => {
  let host: ServedHost;
  let folder: string;
  // Called in `before`, a hook would end with it: what it makes has to live as long as the suite.
  const teardown: (() => void | Promise<void>)[] = [];
  const suite = { after: (end: () => void | Promise<void>): void => void teardown.unshift(end) };
  after(async () => {
    for (const end of teardown) await end();
  });
  const cli = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
    runCli(args, { ...options, env: { ISOLAMBDA_DATA_DIR: host.dataDir, ...options.env } });
  const ok = async (args: readonly string[], options: CliOptions = {}): Promise<string> => {
    const { code, stdout, stderr } = await cli(args, options);
    assert.equal(code, 0, `${args.join(' ')}\n${stdout}${stderr}\n${host.log()}`);
    return stdout;
  };
  const json = async <T>(args: readonly string[]): Promise<T> =>
    JSON.parse(await ok([...args, '--json'])) as T;

  before(async () => {
    host = await serveHost(suite);
    folder = join(tempFolder(suite, { 'greet/lambda_main.ts': GREET }), 'greet');
    writeFileSync(join(folder, 'lambda_config.yml'), 'greeting: Hello\n');
  });

  test('serve writes host.json, and the operator token for its owner alone', () => {
    const told = JSON.parse(readFileSync(join(host.dataDir, 'host.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(told, { origin: host.origin, pid: host.pid, version: VERSION });
    assert.equal(statSync(join(host.dataDir, 'operator.token')).mode & 0o777, 0o600);
  });

  test('deploy without an account says how to make one', async () => {
    const { code, stderr } = await cli(['deploy', folder]);
    assert.equal(code, EXIT.usage.code);
    assert.match(stderr, /no account yet[^]*isolambda account create/);
  });

  test('from an account to a reply, a new version, and deleted again', async () => {
    const account = await json<{ account_id: string }>(['account', 'create', 'acme']);
    assert.match(await ok(['account', 'list']), new RegExp(`acme +${account.account_id}`));

    const first = await json<{ lambda_id: string; version: number; status: string }>(['deploy', folder]);
    assert.deepEqual([first.version, first.status], [1, 'running']);
    assert.deepEqual(JSON.parse(await ok(['invoke', 'greet', '-d', '{"name":"Ada"}'])), {
      greeting: 'Hello, Ada',
    });
    assert.match(await ok(['list']), new RegExp(`greet +${first.lambda_id} +standalone +running +1 `));

    const again = await cli(['deploy', folder]);
    assert.equal(again.code, EXIT.refused.code);
    assert.match(again.stderr, /exists already[^]*--update-existing/);

    writeFileSync(join(folder, 'lambda_config.yml'), 'greeting: Good morning\n');
    const second = await json<{ lambda_id: string; version: number }>([
      'deploy',
      folder,
      '--update-existing',
    ]);
    assert.deepEqual(second.version, 2);
    assert.equal(second.lambda_id, first.lambda_id);
    const reply = JSON.parse(await ok(['invoke', first.lambda_id, '-d', '{"name":"Ada"}'])) as unknown;
    assert.deepEqual(reply, { greeting: 'Good morning, Ada' });

    const shown = await json<{ status: { status: string; version: number } }>(['status', 'greet']);
    assert.deepEqual([shown.status.status, shown.status.version], ['running', 2]);
    assert.match(await ok(['status', 'greet']), /greet is running[^]*version {2}2/);
  });

  test('the way of the tutorial: init, deploy, call, change, deploy again', async (t) => {
    const cwd = tempFolder(t);
    await ok(['init', 'my-lambda'], { cwd });
    await ok(['deploy', 'my-lambda'], { cwd });
    const call = async (): Promise<unknown> =>
      JSON.parse(await ok(['invoke', 'my-lambda', '-d', '{"name": "Ada"}']));
    assert.deepEqual(await call(), { greeting: 'Hello, Ada!' });
    writeFileSync(join(cwd, 'my-lambda/lambda_config.yml'), 'greeting: Good evening\n');
    await ok(['deploy', 'my-lambda', '--update-existing'], { cwd });
    assert.deepEqual(await call(), { greeting: 'Good evening, Ada!' });
    await ok(['delete', 'my-lambda']);
  });

  for (const type of ['standalone', 'handlers', 'rpc', 'tasks'])
    test(`what init makes of type ${type} deploys and answers`, async (t) => {
      const cwd = tempFolder(t);
      const name = `new-${type}`;
      await ok(['init', name, '--type', type], { cwd });
      await ok(['deploy', name], { cwd });
      assert.deepEqual(JSON.parse(await ok(['invoke', name, 'healthcheck'])), { status: 'ok' });
      if (type !== 'tasks') {
        const { greeting } = JSON.parse(await ok(['invoke', name, '-d', '{"name": "Ada"}'])) as {
          greeting: string;
        };
        assert.equal(greeting, 'Hello, Ada!');
      }
      await ok(['delete', name]);
    });

  test('invoke prints what came, and its exit code says how it went', async () => {
    const refused = await cli(['invoke', 'greet', '-d', '{"name":"tea"}', '-i']);
    assert.equal(refused.code, EXIT.lambdaError.code);
    assert.match(refused.stdout, /^HTTP 418\n[^]*lambda-version: 2\n[^]*"detail":"no tea"/);
    assert.match(refused.stderr, /HTTP 418, Lambda exception: no tea/);

    const malformed = await cli(['invoke', 'greet', '-d', '{', '-H', 'Content-Type: application/json']);
    assert.equal(malformed.code, EXIT.lambdaError.code);
    assert.match(malformed.stderr, /HTTP 400/);

    const piped = await cli(['invoke', 'greet', '-d', '-', '--json'], { input: '{"name":"pipe"}' });
    const told = JSON.parse(piped.stdout) as {
      status: number;
      headers: Record<string, string>;
      body: unknown;
    };
    assert.deepEqual([told.status, told.body], [200, { greeting: 'Good morning, pipe' }]);
    assert.equal(told.headers['lambda-version'], '2');

    const health = await cli(['invoke', 'greet', 'healthcheck', '-i']);
    assert.match(health.stdout, /^HTTP 200\n/);

    const route = await cli(['invoke', 'greet', 'nowhere']);
    assert.equal(route.code, EXIT.lambdaError.code);
    assert.match(route.stderr, /HTTP 404/);
  });

  test('logs: what a lambda said, by level, time and request, and as it says more', async (t) => {
    const talker = tempFolder(t, {
      'lambda_main.ts': `import type { StandaloneLambdaRequest } from 'lambda-tools';
export async function main(request: StandaloneLambdaRequest) {
  console.log('heard ' + (request.json as any).word + '\\u001b[2J');
  console.error('a fault');
}`,
    });
    await ok(['deploy', talker, '--name', 'talker']);
    const say = async (word: string): Promise<string> => {
      const reply = await json<{ headers: Record<string, string> }>([
        'invoke',
        'talker',
        '-d',
        `{"word":"${word}"}`,
      ]);
      return reply.headers['luna-request-id']!;
    };
    const requestId = await say('one');
    await say('two');
    assert.match(
      await ok(['logs', 'talker']),
      /info +heard one\\u001b\[2J \[[^]*error +a fault[^]*heard two/,
    );
    assert.doesNotMatch(await ok(['logs', 'talker', '--request', requestId]), /heard two/);
    const { items } = await json<{ items: { message: string }[] }>([
      'logs',
      'talker',
      '--since',
      '1h',
      '-n',
      '1',
    ]);
    assert.deepEqual(
      items.map(({ message }) => message),
      ['a fault'],
    );
    assert.equal((await cli(['logs', 'talker', '--since', 'noon'])).code, EXIT.usage.code);

    const stored = Promise.withResolvers<void>();
    const fresh = Promise.withResolvers<void>();
    const following = cli(['logs', 'talker', '--follow', '--level', 'error', '--json'], {
      onOutput: (text) => {
        const rows = text.split('\n').length - 1;
        if (rows >= 2) stored.resolve();
        if (rows >= 3) fresh.resolve();
      },
    });
    const ended = following.then(({ stderr }) => assert.fail(`it ended too early: ${stderr}`));
    await Promise.race([stored.promise, ended]);
    await say('three');
    await Promise.race([fresh.promise, ended]);
    ended.catch(() => undefined);
    // The log ends with its lambda, and the command with the log.
    await ok(['delete', 'talker']);
    const { code, stdout, stderr } = await following;
    assert.equal(code, 0, stderr);
    const rows = stdout
      .trim()
      .split('\n')
      .map((row) => JSON.parse(row) as { message: string });
    assert.deepEqual(
      rows.map(({ message }) => message),
      ['a fault', 'a fault', 'a fault'],
    );
    assert.match(stderr, /the log has ended/);
  });

  test('what is not there is not found, by name and by id', async () => {
    const unknown = '00000000-0000-4000-8000-000000000000';
    for (const [command, lambda] of [
      ['invoke', unknown],
      ['status', 'nobody'],
      ['delete', unknown],
    ] as const) {
      const { code, stderr } = await cli([command, lambda]);
      assert.equal(code, EXIT.notFound.code, `${command} ${lambda}: ${stderr}`);
      assert.match(stderr, /isolambda list|GET \/1\/lambdas/);
    }
  });

  test('a lambda that does not validate is refused with every problem, and not kept', async (t) => {
    const broken = tempFolder(t, {
      'lambda_main.ts': 'export async function man() {}\nexport async function main( {\n',
    });
    const { code, stdout, stderr } = await cli(['deploy', broken, '--name', 'broken']);
    assert.equal(code, EXIT.refused.code);
    assert.equal(stdout, '');
    assert.match(stderr, /lambda_main\.ts:\d+:\d+ error syntax /);
    assert.match(stderr, /mend: /);
    assert.doesNotMatch(await ok(['list']), /broken/);
  });

  test("a lambda whose start fails is refused with the module's own error", async (t) => {
    const failing = tempFolder(t, {
      'lambda_main.ts': "throw new Error('not today');\nexport async function main() {}\n",
    });
    const { code, stderr } = await cli(['deploy', failing, '--name', 'failing']);
    assert.equal(code, EXIT.refused.code);
    assert.match(stderr, /not today/);
  });

  test('limits and parameters reach the lambda', async (t) => {
    const loop = tempFolder(t, { 'lambda_main.ts': 'export async function main() { for (;;); }\n' });
    const parameters = ['--param', '{"description":"spins"}', '--deploy-param', '{"cpu_ms":60}'];
    await ok(['deploy', loop, '--name', 'loop', ...parameters]);
    const { lambda } = await json<{ lambda: { description: string } }>(['status', 'loop']);
    assert.equal(lambda.description, 'spins');
    const { code, stderr } = await cli(['invoke', 'loop']);
    assert.equal(code, EXIT.lambdaError.code);
    assert.match(stderr, /HTTP 504, CPU limit exceeded[^]*mend: /);
    const unknown = await cli(['deploy', loop, '--name', 'x', '--deploy-param', '{"cpu":1}']);
    assert.equal(unknown.code, EXIT.refused.code);
  });

  test("tokens: an account's own sees only what is its own; revoked, it opens nothing", async () => {
    await ok(['account', 'create', 'other']);
    const ambiguous = await cli(['token', 'create']);
    assert.equal(ambiguous.code, EXIT.usage.code);
    assert.match(ambiguous.stderr, /--account NAME or ID: (acme, other|other, acme)/);

    const made = await json<{ token: string; token_id: string }>(['token', 'create', '--account', 'other']);
    const env = { ISOLAMBDA_TOKEN: made.token };
    assert.match((await cli(['list'], { env })).stdout, /no lambdas/);
    assert.equal((await cli(['invoke', 'greet'], { env })).code, EXIT.notFound.code);
    assert.equal((await cli(['account', 'create', 'third'], { env })).code, EXIT.notAllowed.code);

    assert.match(await ok(['token', 'list', '--account', 'other']), new RegExp(made.token_id));
    await ok(['token', 'revoke', made.token_id, '--account', 'other']);
    const revoked = await cli(['list'], { env });
    assert.equal(revoked.code, EXIT.notAllowed.code);
    assert.match(revoked.stderr, /Authentication required/);
  });

  test('delete takes all or, where a name is wrong, none', async () => {
    const half = await cli(['delete', 'greet', 'misspelt', '--account', 'acme']);
    assert.equal(half.code, EXIT.notFound.code);
    assert.match(await ok(['list']), /greet/);
    await ok(['delete', 'greet', 'loop', '--account', 'acme']);
    assert.doesNotMatch(await ok(['list']), /greet|loop/);
  });

  test('a second host on the same data folder is refused, one on a taken port too', async (t) => {
    const second = await runCli(['serve', '--port', '0', '--data-dir', host.dataDir]);
    assert.equal(second.code, EXIT.usage.code);
    assert.match(second.stderr, /error: /);
    const port = new URL(host.origin).port;
    const taken = await runCli(['serve', '--port', port, '--data-dir', tempFolder(t)]);
    // By itself: killed because it hangs, it would have no code.
    assert.equal(taken.code, EXIT.failed.code);
    assert.match(taken.stderr, /EADDRINUSE[^]*--port/);
  });

  test('SIGTERM drains: exit code 0, host.json gone, and the commands say that no host is there', async () => {
    assert.equal(await host.stop('SIGTERM'), 0, host.log());
    assert.equal(existsSync(join(host.dataDir, 'host.json')), false);
    assert.equal((await cli(['list'])).code, EXIT.unreachable.code);
  });
});
