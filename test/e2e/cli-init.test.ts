import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { cleanEnv, runCli, tempFolder } from '../cli-process.ts';

const TSC = fileURLToPath(import.meta.resolve('typescript/lib/tsc.js'));

interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Runs Node in a lambda's folder, as an editor or its author does. */
function node(cwd: string, ...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd, env: cleanEnv() }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    );
  });
}

describe('isolambda init', { timeout: 120_000 }, () => {
  for (const type of ['standalone', 'handlers', 'rpc', 'tasks'])
    test(`${type}: the folder type-checks, validates, and its own test passes`, async (t) => {
      const parent = tempFolder(t);
      const made = await runCli(['init', 'mine', '--type', type], { cwd: parent });
      assert.equal(made.code, 0, made.stderr);
      const folder = join(parent, 'mine');

      const checked = await node(folder, TSC, '-p', '.');
      assert.equal(checked.code, 0, checked.output);
      const valid = await runCli(['validate', 'mine', '--json'], { cwd: parent });
      assert.equal(valid.code, 0, valid.stdout);
      assert.deepEqual(JSON.parse(valid.stdout), { valid: true, type, problems: [] });
      const tested = await node(folder, '--test');
      assert.equal(tested.code, 0, tested.output);
      assert.match(tested.output, /pass [1-9]/);
    });

  test('the editor completes and checks against lambda-tools', async (t) => {
    const parent = tempFolder(t);
    await runCli(['init', 'mine'], { cwd: parent });
    const wrong = `import { noSuchThing, type StandaloneLambdaRequest } from 'lambda-tools';
export const length: number = (request: StandaloneLambdaRequest) => request.requestId;
export const reply = (request: StandaloneLambdaRequest) => fetch(new URL('http://x/'), { signal: request.signal });
export const none = process;
`;
    writeFileSync(join(parent, 'mine/wrong.ts'), wrong);
    const { code, output } = await node(join(parent, 'mine'), TSC, '-p', '.');
    assert.notEqual(code, 0);
    assert.match(output, /wrong\.ts\(1,10\): error TS2305: .*noSuchThing/);
    assert.match(output, /wrong\.ts\(2,14\): error TS2322/);
    assert.match(output, /wrong\.ts\(4,21\): error TS\d+: .*process/);
    assert.doesNotMatch(output, /wrong\.ts\(3,|lambda-tools\//);
  });

  test('only what the lambda needs goes into its archive', async (t) => {
    const parent = tempFolder(t);
    await runCli(['init', 'mine'], { cwd: parent });
    const { stdout } = await runCli(['pack', 'mine', '--json'], { cwd: parent });
    const { files } = JSON.parse(stdout) as { files: string[] };
    assert.deepEqual(files, ['lambda_config.yml', 'lambda_main.ts', 'package.json']);
  });

  test('nothing is overwritten; --refresh-types brings back lambda-tools alone', async (t) => {
    const parent = tempFolder(t);
    await runCli(['init', 'mine'], { cwd: parent });
    const main = join(parent, 'mine/lambda_main.ts');
    writeFileSync(main, '// mine\n');
    const again = await runCli(['init', 'mine'], { cwd: parent });
    assert.equal(again.code, EXIT.usage.code);
    assert.match(again.stderr, /mine is not empty[^]*--refresh-types/);

    // As after a clone: what git ignores is gone.
    renameSync(join(parent, 'mine/node_modules'), join(parent, 'gone'));
    const refreshed = await runCli(['init', 'mine', '--refresh-types'], { cwd: parent });
    assert.equal(refreshed.code, 0, refreshed.stderr);
    assert.equal(readFileSync(main, 'utf8'), '// mine\n');
    assert.ok(existsSync(join(parent, 'mine/node_modules/lambda-tools/package.json')));
  });
});
