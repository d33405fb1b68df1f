/** A child that creates and updates lambdas until it is killed, and says what was acknowledged: a line of JSON each. */
import { writeSync } from 'node:fs';
import { createDeployer } from '../../src/deploy/deployer.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { openStore } from '../../src/store/store.ts';
import { good, lambdaZip, log, ScriptedBuilder, ScriptedPool } from './deploy-rig.ts';

const [dataDir = '', accountId = '', round = ''] = process.argv.slice(2);
const AT_ONCE = 4;

const store = await openStore({ dataDir });
const registry = await createRegistry({ store, config: { limits: {}, services: {} } });
const builder = new ScriptedBuilder();
builder.answer = ({ archive }) => good(Buffer.from(archive).toString('base64'));
const deployer = createDeployer({
  store,
  registry,
  builder,
  pool: new ScriptedPool(),
  log,
  config: { buildConcurrency: 2 },
});
await deployer.start();

async function upload(worker: number): Promise<never> {
  for (let index = 0; ; index += 1) {
    const name = `${round}-${worker}-${index}`;
    const given = (version: number) => ({
      archive: lambdaZip(`// ${name} ${version}`),
      parameters: { name },
      deployParameters: {},
    });
    const { lambdaId } = await deployer.create(accountId, given(1));
    // Synchronous: a line that the parent reads was acknowledged before the kill.
    writeSync(1, `${JSON.stringify({ lambdaId, name, version: 1 })}\n`);
    await deployer.wait(lambdaId);
    await deployer.update(lambdaId, given(2));
    writeSync(1, `${JSON.stringify({ lambdaId, name, version: 2 })}\n`);
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, (_, worker) => upload(worker)));
