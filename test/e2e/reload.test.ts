/** SIGHUP: what of a changed configuration file a running host takes over, and what becomes of one with problems. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { callMain, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { startWitness, type Witness } from '../witness.ts';

const configOf = (origin: string, more = ''): string => `
log: { level: info }
services:
  events: { address: "${origin}", manifest: { allow: ["GET /"] } }
${more}`;

const ASKS = `import type { StandaloneLambdaRequest } from 'lambda-tools';
export const main = async ({ clients }: StandaloneLambdaRequest) => (await clients.events.get('/name')).text();`;

let one: Witness;
let other: Witness;
let host: TestHost;
let tenant: TestAccount;
before(async () => {
  one = await startWitness((_seen, response) => void response.end('one'));
  other = await startWitness((_seen, response) => void response.end('other'));
  host = await startTestHost({ config: configOf(one.origin), flags: { 'log-level': 'info' } });
  tenant = await host.account();
});
after(async () => {
  await host?.stop();
  await one?.close();
  await other?.close();
});

let reloads = 0;
/** Writes the file, sends SIGHUP, and waits until the log has one more line about it. */
async function reload(config: string): Promise<void> {
  await writeFile(join(host.dataDir, 'isolambda.yml'), config);
  host.process.kill('SIGHUP');
  reloads += 1;
  await host.says(new RegExp(`(?:[^]*"msg":"(?:the )?configuration [^"]*"){${reloads}}`));
}
const limits = async () => (await host.operator.getQuota(tenant.accountId)).json.limits;
const lastLine = (): string => host.errorText().trim().split('\n').at(-1) ?? '';

test('limits and services of the file are in force, without a restart and for isolates that run', async () => {
  const lambdaId = await deploy(tenant.api, ASKS);
  assert.equal((await callMain(tenant.api, lambdaId)).json, 'one');
  const pid = host.process.pid;
  await reload(configOf(other.origin, 'limits: { memory_mb: 64, timeout_ms: 1234 }'));
  assert.match(lastLine(), /"changed":\["limits.memory_mb","limits.timeout_ms","services.events"\]/);
  assert.equal((await callMain(tenant.api, lambdaId)).json, 'other');
  const { memory_mb, timeout_ms } = await limits();
  assert.deepEqual([memory_mb.in_force, timeout_ms.in_force], [64, 1234]);
  assert.equal(host.process.pid, pid);
});

test('a file with problems is told with all of them, and the one before stays in force', async () => {
  const before = await limits();
  await reload(configOf(one.origin, 'limits: { memory_mb: 1, nonsense: 2 }'));
  assert.match(lastLine(), /"level":50.*memory_mb\\" is 1: the least is 8.*unknown limit \\"nonsense\\"/);
  await reload('limits: [');
  assert.match(lastLine(), /isolambda\.yml:1:\d+/);
  assert.deepEqual(await limits(), before);
});

test('what takes a restart is said, and everything else is taken over', async () => {
  await writeFile(
    join(host.dataDir, 'isolambda.yml'),
    configOf(other.origin, 'sandbox: { idle_ms: 5000 }\nlimits: { memory_mb: 96 }'),
  );
  host.process.kill('SIGHUP');
  await host.says(/"needRestart":\["sandbox.idle_ms"\]/);
  assert.equal((await limits()).memory_mb.in_force, 96);
});
