import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { transformSync } from 'esbuild';
import { createProgram } from '../../src/cli/command-line.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { LIMIT_KEYS, LIMITS } from '../../src/config/limits.ts';
import { flagOf, OPTION_NAMES, OPTIONS, variableOf } from '../../src/config/options.ts';
import { BIN, runCli, tempFolder } from '../cli-process.ts';

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 1000 });
  command.outputHelp();
  return text;
}

function commandsBelow(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsBelow)];
}

describe('help', () => {
  for (const command of commandsBelow(createProgram())) {
    if (['help', 'quickstart'].includes(command.name())) continue;
    test(`of ${command.name()} says what it does, with examples`, () => {
      const text = helpOf(command);
      assert.ok(command.description().length > 0);
      assert.match(text, /\nExamples:\n {2}\$ /);
      for (const option of command.options)
        assert.ok(option.description, `${option.long} has no description`);
    });
    // `run` has no answer to give: it serves until it is stopped.
    if (command.commands.length === 0 && command.name() !== 'run')
      test(`of ${command.name()} offers --json`, () => {
        assert.ok(command.options.some(({ long }) => long === '--json'));
      });
  }

  test('of serve has every option with flag, variable, key and default, and every limit', () => {
    const serve = createProgram().commands.find((command) => command.name() === 'serve');
    assert.ok(serve);
    const lines = helpOf(serve).split('\n');
    for (const name of OPTION_NAMES) {
      const line = lines.find((text) => text.trim().startsWith(`${flagOf(name)} `)) ?? '';
      for (const part of [
        OPTIONS[name].about,
        `env ${variableOf(name)}`,
        `file ${OPTIONS[name].key}`,
        'default: ',
      ])
        assert.ok(line.includes(part), `${flagOf(name)} lacks "${part}": ${line}`);
    }
    for (const key of LIMIT_KEYS) {
      const line = lines.find((text) => text.trim().startsWith(`${key} `)) ?? '';
      for (const part of [LIMITS[key].about, `default: ${LIMITS[key].default} ${LIMITS[key].unit}`])
        assert.ok(line.includes(part), `${key} lacks "${part}": ${line}`);
    }
  });

  test('of the command itself lists the exit codes', () => {
    const text = helpOf(createProgram());
    for (const { code, about } of Object.values(EXIT)) assert.ok(text.includes(`${code}  ${about}`));
    assert.equal(new Set(Object.values(EXIT).map(({ code }) => code)).size, Object.keys(EXIT).length);
  });

  test('goes to standard output with exit code 0, as a process', async () => {
    const { code, stdout, stderr } = await runCli(['deploy', '--help']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^Usage: isolambda deploy /);
    assert.ok(!stdout.includes('\u001b'), 'no colours where nobody looks');
  });

  test('FORCE_COLOR colours, NO_COLOR does not', async () => {
    const coloured = await runCli(['--help'], { env: { FORCE_COLOR: '1' } });
    assert.ok(coloured.stdout.includes('\u001b['));
    const plain = await runCli(['--help'], { env: { NO_COLOR: '1' } });
    assert.ok(!plain.stdout.includes('\u001b['));
  });
});

describe('a wrong command line', () => {
  const cases: Readonly<Record<string, { args: string[]; says: RegExp }>> = {
    'an unknown command': { args: ['depoy'], says: /unknown command 'depoy'[^]*deploy/ },
    'an unknown option': { args: ['list', '--nmae', 'x'], says: /unknown option '--nmae'/ },
    'a missing argument': { args: ['deploy'], says: /missing required argument/ },
    'a wrong choice': { args: ['deploy', '.', '--type', 'cron'], says: /standalone, handlers, rpc, tasks/ },
    'a number that is none': { args: ['invoke', 'x', '--timeout', 'soon'], says: /whole number/ },
    'a header without a colon': { args: ['invoke', 'x', '-H', 'nonsense'], says: /Name: value/ },
    'a body that is not JSON': {
      args: ['invoke', 'x', '-d', '{name: 1}'],
      says: /-d is not JSON[^]*Quote it/,
    },
    'parameters that are no object': {
      args: ['deploy', '.', '--param', '[1]'],
      says: /must be a JSON object/,
    },
    'an unknown scope': { args: ['token', 'create', '--scope', 'root'], says: /admin, deploy, invoke, read/ },
    'options that exclude each other': {
      args: ['deploy', '.', '--update', 'a', '--update-existing'],
      says: /exclude each other/,
    },
    'an origin that is none': {
      args: ['list', '--origin', 'nowhere', '--token', 'x'],
      says: /not an http or https URL/,
    },
  };
  for (const [title, { args, says }] of Object.entries(cases))
    test(`${title}: exit code 2, and what is right`, async (t) => {
      const { code, stdout, stderr } = await runCli(args, { cwd: tempFolder(t) });
      assert.equal(code, EXIT.usage.code, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, says);
    });

  test('with --json the error is the one document on standard output', async (t) => {
    const { code, stdout } = await runCli(['list', '--nmae', '--json'], { cwd: tempFolder(t) });
    assert.equal(code, EXIT.usage.code);
    const { error } = JSON.parse(stdout) as { error: Record<string, unknown> };
    assert.deepEqual([error.exit, error.exit_code], ['usage', EXIT.usage.code]);
    assert.match(String(error.message), /--nmae/);
  });
});

describe('the configuration of serve', () => {
  const serve = (cwd: string, args: string[] = [], env: Record<string, string> = {}) =>
    runCli(['serve', ...args], { cwd, env });

  test('every problem is told at once, a line each, with exit code 2', async (t) => {
    const folder = tempFolder(t, {
      'isolambda.yml': 'prot: 1\nlimits: {memory_mb: 1, nonsense: 3}\nlog: {levle: x}\n',
    });
    const args = ['--port', '70000', '--limit', 'cpu_ms', '--limit', 'fetches=many'];
    const { code, stderr } = await serve(folder, args, { ISOLAMBDA_LOG_LEVEL: 'loud' });
    assert.equal(code, EXIT.usage.code);
    for (const problem of [
      /--port: "70000" is not a whole number/,
      /ISOLAMBDA_LOG_LEVEL: "loud" is not one of/,
      /unknown key "prot"/,
      /unknown key "log\.levle"/,
      /limit "memory_mb" is 1: the least is 8/,
      /unknown limit "nonsense"/,
      /--limit cpu_ms: write --limit KEY=NUMBER/,
      /--limit fetches: "many" is not a number/,
    ])
      assert.match(stderr, problem);
  });

  test('a file that is no YAML is refused with its line and column', async (t) => {
    const folder = tempFolder(t, { 'my.yml': 'port: 1\nlog: {level: info\n' });
    const { code, stderr } = await serve(folder, ['--config', 'my.yml']);
    assert.equal(code, EXIT.usage.code);
    assert.match(stderr, /my\.yml:\d+:\d+: /);
  });

  test('a --config that is not there is a problem, not a default', async (t) => {
    const { code, stderr } = await serve(tempFolder(t), ['--config', 'none.yml']);
    assert.equal(code, EXIT.usage.code);
    assert.match(stderr, /none\.yml.*ENOENT/);
  });
});

/** An origin where nothing listens: a port that was free a moment ago. */
async function closedOrigin(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

const hostFiles = (origin: string): Record<string, string> => ({
  'data/host.json': JSON.stringify({ origin, pid: 1 }),
  'data/operator.token': 'x',
});

describe('no host', () => {
  test('known: exit code 5, and the line that starts one', async (t) => {
    const { code, stderr } = await runCli(['list'], { cwd: tempFolder(t) });
    assert.equal(code, EXIT.unreachable.code);
    assert.match(stderr, /no host is known[^]*isolambda serve/);
  });

  test('answers: the same, with where the address came from', async (t) => {
    const origin = await closedOrigin();
    const { code, stderr } = await runCli(['list'], { cwd: tempFolder(t, hostFiles(origin)) });
    assert.equal(code, EXIT.unreachable.code);
    assert.ok(stderr.includes(`no host answers at ${origin} (from data/host.json)`), stderr);
    assert.match(stderr, /ECONNREFUSED[^]*isolambda serve/);
  });

  test("the operator's token is not sent to a host that it is not of", async (t) => {
    const cwd = tempFolder(t, hostFiles('http://127.0.0.1:8080'));
    const { code, stderr } = await runCli(['list', '--origin', 'http://127.0.0.1:8081'], { cwd });
    assert.equal(code, EXIT.notAllowed.code);
    assert.match(stderr, /no token for http:\/\/127\.0\.0\.1:8081/);
  });
});

describe('bin.js', () => {
  test('on an older Node says so in one line, with the mend, and exits 1', async () => {
    // The same file, told by a preload that it runs on Node 20: what it does then is up to it alone.
    const preload = `data:text/javascript,${encodeURIComponent(
      "Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}});Object.defineProperty(process,'version',{value:'v20.20.2'});",
    )}`;
    const { code, stdout, stderr } = await runCli(['list'], { env: { NODE_OPTIONS: `--import=${preload}` } });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^isolambda needs Node 24 or newer, this is v20\.20\.2: .*npx isolambda.*\n$/);
  });

  test('is JavaScript that a Node of years ago can parse', () => {
    const source = readFileSync(BIN, 'utf8');
    // Nothing in it is too new for Node 12.20 when esbuild finds nothing to rewrite for it.
    const [now, then] = ['esnext', 'node12.20'].map(
      (target) => transformSync(source, { target, format: 'esm' }).code,
    );
    assert.equal(then, now);
    assert.doesNotMatch(source, /\?\.|\?\?|^await /m);
  });
});
