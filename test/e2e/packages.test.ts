/**
 * Well-known packages, vendored into archives: each program of fixtures/packages gives the same answer in an isolate of a real
 * host as in Node.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { LambdaApiError } from '../../src/client/errors.ts';
import { callMain, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { vendoredArchive } from '../vendored.ts';

// Isolates have no time zone of their own.
process.env['TZ'] = 'UTC';

const PROGRAMS = new URL('../../fixtures/packages/', import.meta.url);
const NAMES = readdirSync(PROGRAMS).map((file) => file.replace(/\.js$/, ''));
const MAIN = "import { program } from './program.js';\nexport const main = async () => program();\n";

describe('packages', () => {
  let host: TestHost;
  let tenant: TestAccount;
  before(async () => {
    host = await startTestHost();
    tenant = await host.account();
  });
  after(() => host?.stop());

  test('there are twenty', () => assert.equal(NAMES.length, 20));

  for (const name of NAMES)
    test(`${name} answers as in Node`, async () => {
      const at = new URL(`${name}.js`, PROGRAMS);
      const files = {
        'lambda_main.js': MAIN,
        'program.js': readFileSync(at, 'utf8'),
        'package.json': '{"type":"module"}',
      };
      const archive = vendoredArchive(files, [name]);
      const { lambda_id: lambdaId } = (await tenant.api.createLambda({ archive })).json;
      await tenant.api.waitUntilRunning(lambdaId);
      const reply = await callMain(tenant.api, lambdaId);
      const { program } = (await import(at.href)) as { program: () => unknown };
      const expected: unknown = JSON.parse(JSON.stringify(await program()));
      assert.equal(reply.statusCode, 200, reply.text);
      assert.deepEqual(reply.json, expected);
      await tenant.api.deleteLambda({ lambdaId });
    });

  test('jose has no asymmetric keys here: crypto.subtle lacks them, and says so', async () => {
    const main =
      "import { generateKeyPair } from 'jose';\nexport const main = async () => generateKeyPair('ES256').then(() => 'made', (error) => `${error.name}: ${error.message}`);\n";
    const archive = vendoredArchive({ 'lambda_main.js': main }, ['jose']);
    const { lambda_id: lambdaId } = (await tenant.api.createLambda({ archive })).json;
    await tenant.api.waitUntilRunning(lambdaId);
    assert.match(String((await callMain(tenant.api, lambdaId)).json), /^NotSupportedError: /);
  });

  test('a package that needs Node is refused, with the built-in and the file that imports it', async () => {
    const main =
      "import AdmZip from 'adm-zip';\nexport const main = async () => new AdmZip().toBuffer().length;\n";
    await assert.rejects(
      tenant.api.createLambda({ archive: vendoredArchive({ 'lambda_main.js': main }, ['adm-zip']) }),
      (error: unknown) => {
        assert.ok(error instanceof LambdaApiError);
        assert.match(
          error.message,
          /node_modules\/adm-zip\/[^ ]+" imports "(fs|path|zlib|crypto)", a module of Node\.js/,
        );
        assert.match(JSON.stringify(error.problems), /The package \\"adm-zip\\" needs Node\.js/);
        return true;
      },
    );
  });
});
