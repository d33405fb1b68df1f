import assert from 'node:assert/strict';
import AdmZip from 'adm-zip';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createDeployer } from '../../src/deploy/deployer.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { openStore } from '../../src/store/store.ts';
import { good, log, ScriptedBuilder, ScriptedPool } from './deploy-rig.ts';

const WRITER = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
/** Acknowledgements before each kill: each finds the writer at another point. */
const KILL_AFTER = [1, 7, 20, 33];

interface Acknowledged {
  readonly lambdaId: string;
  readonly name: string;
  readonly version: number;
}

test(
  'kill -9 while lambdas are created and updated: all that was acknowledged is there, whole, and ends up ready',
  { timeout: 120_000 },
  async (t) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-kill-'));
    t.after(() => rm(dataDir, { recursive: true, force: true }));
    const accountId = '11111111-1111-4111-8111-111111111111';
    const first = await openStore({ dataDir });
    const setup = await createRegistry({ store: first, config: { limits: {}, services: {} } });
    await setup.createAccount({ id: accountId, name: 'acme' });
    await setup.setQuota(accountId, { lambdas: 100_000 });
    await setup.close();
    await first.close();

    const acknowledged: Acknowledged[] = [];
    for (const [round, killAfter] of KILL_AFTER.entries())
      acknowledged.push(...(await writeUntilKilled(dataDir, accountId, round, killAfter)));
    assert.ok(acknowledged.length >= KILL_AFTER.reduce((sum, count) => sum + count, 0));

    // The lock of a killed host does not keep the next one out.
    const store = await openStore({ dataDir });
    const registry = await createRegistry({ store, config: { limits: {}, services: {} } });
    const builder = new ScriptedBuilder();
    builder.answer = () => good();
    const parts = {
      store,
      registry,
      builder,
      pool: new ScriptedPool(),
      log,
      config: { buildConcurrency: 2 },
    };
    const deployer = createDeployer(parts);
    t.after(async () => {
      await deployer.close();
      await registry.close();
      await store.close();
    });
    await deployer.start();
    for (const { lambdaId, name, version } of acknowledged) {
      const { state } = await deployer.wait(lambdaId, version);
      assert.equal(state, 'ready', `${name} version ${version}`);
      const lambda = registry.lambda(lambdaId)!;
      assert.equal(lambda.name, name);
      assert.ok(lambda.version >= version);
      // Both blobs are read back, and their hashes are checked.
      const { bytes } = await deployer.archive(lambdaId, version);
      assert.equal(new AdmZip(Buffer.from(bytes)).readAsText('lambda_main.ts'), `// ${name} ${version}`);
      await lambda.active!.loadBundle();
    }
    // Uploads that were cut off before their acknowledgement may be there too, whole; nothing else is.
    await deployer.swept();
    const kept = new Set<string>();
    for (const { id } of registry.allLambdas())
      for (const version of (await deployer.versions(id, { page: 1, pageSize: 100 })).items)
        for (const hash of [version.archiveHash, version.bundleHash]) if (hash !== null) kept.add(hash);
    for await (const hashes of store.blobs.list()) for (const hash of hashes) assert.ok(kept.has(hash), hash);
    assert.deepEqual(await readdir(join(dataDir, 'blobs', 'incoming')), []);
  },
);

/** Runs the writer, kills it after so many acknowledgements, and returns all of them. */
async function writeUntilKilled(
  dataDir: string,
  accountId: string,
  round: number,
  killAfter: number,
): Promise<Acknowledged[]> {
  const child = spawn(process.execPath, [WRITER, dataDir, accountId, String(round)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const exited = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (lines.length === killAfter) child.kill('SIGKILL');
  }
  const [, signal] = (await exited) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', errors);
  // A line of less than PIPE_BUF bytes is written whole or not at all.
  return lines.map((line) => JSON.parse(line) as Acknowledged);
}
