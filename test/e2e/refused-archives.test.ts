import AdmZip from 'adm-zip';
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LambdaApiError } from '../../src/client/index.ts';
import { archiveOf, startTestHost, type TestAccount, type TestHost } from '../host.ts';

function bomb(): Buffer {
  const zip = new AdmZip();
  zip.addFile('lambda_main.ts', Buffer.from('export async function main(request) { return 1; }'));
  zip.addFile('zeros.bin', Buffer.alloc(150 * 1024 * 1024));
  return zip.toBuffer();
}
/** adm-zip cleans names when it writes: the dots are put in afterwards, in both headers. */
function traversal(): Buffer {
  const bytes = archiveOf({
    'lambda_main.ts': 'export async function main(request) { return 1; }',
    'aa/aa/passwd': 'x',
  });
  return Buffer.from(bytes.toString('latin1').replaceAll('aa/aa/passwd', '../../passwd'), 'latin1');
}

const CASES: readonly {
  name: string;
  archive: () => Buffer;
  code: number;
  rule: RegExp;
  where?: { file: string; line?: number };
}[] = [
  { name: 'no zip', archive: () => Buffer.from('this is no zip'), code: 43030, rule: /zip/ },
  { name: 'an empty body', archive: () => Buffer.alloc(0), code: 43030, rule: /zip/ },
  { name: 'a bomb', archive: bomb, code: 43030, rule: /bomb|ratio|size|unpacked/ },
  { name: 'a traversal', archive: traversal, code: 43030, rule: /traversal/ },
  {
    name: 'no lambda_main',
    archive: () => archiveOf({ 'other.ts': 'export const a = 1;' }),
    code: 42005,
    rule: /main/,
  },
  {
    name: 'a syntax error',
    archive: () => archiveOf({ 'lambda_main.ts': 'export async function main(request) {\n  return 1 +;\n}' }),
    code: 42005,
    rule: /syntax/,
    where: { file: 'lambda_main.ts', line: 2 },
  },
  {
    name: 'a missing module',
    archive: () =>
      archiveOf({
        'lambda_main.ts': 'import { a } from "./gone";\nexport async function main(request) { return a; }',
      }),
    code: 42005,
    rule: /./,
    where: { file: 'lambda_main.ts', line: 1 },
  },
  {
    name: 'a file of the host',
    archive: () =>
      archiveOf({
        'lambda_main.ts': 'import a from "/etc/passwd";\nexport async function main(request) { return a; }',
      }),
    code: 42005,
    rule: /./,
    where: { file: 'lambda_main.ts', line: 1 },
  },
];

describe('an archive that can not become a lambda is refused with its reason, and nothing of it is kept', () => {
  let host: TestHost;
  let tenant: TestAccount;
  before(async () => {
    host = await startTestHost();
    tenant = await host.account();
  });
  after(() => host?.stop());

  for (const { name, archive, code, rule, where } of CASES) {
    test(name, async () => {
      const error = await tenant.api
        .createLambda({ archive: archive(), parameters: { lambda_type: 'standalone' } })
        .then(
          () => assert.fail('it was accepted'),
          (reason: unknown) => reason,
        );
      assert.ok(error instanceof LambdaApiError, String(error));
      assert.deepEqual(
        [error.statusCode, error.errorCode],
        [400, code],
        `${error.detail} ${JSON.stringify(error.problems)}`,
      );
      const problems = error.problems as {
        rule: string;
        message: string;
        mend: string;
        file?: string;
        line?: number;
      }[];
      assert.ok(
        problems.some((problem) => rule.test(problem.rule) && problem.message && problem.mend),
        JSON.stringify(problems),
      );
      if (where)
        assert.ok(
          problems.some(
            ({ file, line }) => file === where.file && (where.line === undefined || line === where.line),
          ),
          JSON.stringify(problems),
        );
      assert.equal((await tenant.api.getLambdas()).json.total, 0);
      assert.deepEqual(await blobs(host.dataDir), []);
    });
  }
});

async function blobs(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}
