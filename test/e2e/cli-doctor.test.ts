import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli, tempFolder } from '../cli-process.ts';

interface Diagnosis {
  readonly ok: boolean;
  readonly walls: readonly { name: string; state: string; found: string; raise?: string }[];
}

test('doctor says what stands, found on a runner that it started, and ends with 0', async (t) => {
  const dir = tempFolder(t);
  const { code, stdout } = await runCli(['doctor', '--json', '--data-dir', join(dir, 'data')]);
  const { ok, walls } = JSON.parse(stdout) as Diagnosis;
  const state = Object.fromEntries(walls.map((wall) => [wall.name, wall.state]));
  for (const name of ['node', 'isolated-vm', 'permission-model', 'data-folder'])
    assert.equal(state[name], 'stands', name);
  // A machine without bubblewrap has fewer walls, and doctor must say so rather than pass.
  const jailed = state.jail === 'stands';
  for (const name of ['namespaces', 'seccomp', 'no-new-privileges', 'rlimits'])
    assert.equal(state[name], jailed ? 'stands' : 'missing', name);
  assert.equal(ok, jailed);
  assert.equal(code, jailed ? 0 : 1);
});

test('doctor ends with 1 where there is no jail and the data folder is open to all, and says how to mend both', async (t) => {
  const dir = join(tempFolder(t), 'data');
  await mkdir(dir);
  await chmod(dir, 0o755);
  await writeFile(join(dir, 'operator.token'), 'x', { mode: 0o644 });
  const { code, stdout } = await runCli(['doctor', '--json', '--data-dir', dir, '--sandbox-jail', 'none']);
  const { ok, walls } = JSON.parse(stdout) as Diagnosis;
  assert.equal(code, 1);
  assert.equal(ok, false);
  const missing = walls.filter(({ state }) => state === 'missing');
  const names = missing.map(({ name }) => name);
  for (const name of ['jail', 'namespaces', 'rlimits', 'data-folder', 'operator-token'])
    assert.ok(names.includes(name), name);
  for (const { name, raise } of missing) assert.ok(raise, `${name}: no word on how to raise it`);
});
