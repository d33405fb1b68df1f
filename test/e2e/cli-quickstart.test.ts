import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCli } from '../cli-process.ts';

test(
  'quickstart --once shows two accounts, three lambdas, a limit kept, and ends with 0',
  { timeout: 60_000 },
  async () => {
    const { code, stdout, stderr } = await runCli(['quickstart', '--once']);
    assert.equal(code, 0, stdout + stderr);
    for (const part of [
      'Start a host',
      'alice',
      'bob',
      '"from_file_1":"foo_from_file1"',
      '"variable_from_nested":1',
      '"title":"My Lambda"',
      '<h1>Hello</h1>',
      '<em>isolambda</em>',
      '504',
      '"error_code":43002',
      'still here',
    ])
      assert.ok(stdout.includes(part), `"${part}" is not in:\n${stdout}`);
  },
);
