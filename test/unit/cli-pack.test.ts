import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import AdmZip from 'adm-zip';
import { CommandError } from '../../src/cli/command-error.ts';
import { packFolder } from '../../src/cli/folder/pack.ts';
import { runCli, tempFolder } from '../cli-process.ts';

const MAIN = { 'lambda_main.ts': 'export async function main() { return 1; }\n' };
const pathsOf = (folder: string): string[] => (packFolder(folder).files ?? []).map(({ path }) => path);
const pkg = (more: object): string => JSON.stringify({ name: 'x', version: '1.0.0', ...more });

describe('pack', () => {
  test('the same files give the same bytes, whatever their times and modes', (t) => {
    const files = { ...MAIN, 'b/z.ts': 'export {};', 'b.ts': 'export {};', 'B.json': '{}' };
    const one = tempFolder(t, files);
    const other = tempFolder(t, Object.fromEntries(Object.entries(files).reverse()));
    chmodSync(join(other, 'b.ts'), 0o755);
    utimesSync(join(other, 'b.ts'), 1, 1);
    assert.deepEqual(packFolder(one).bytes, packFolder(other).bytes);
    writeFileSync(join(other, 'b.ts'), 'export {}; ');
    assert.notDeepEqual(packFolder(one).bytes, packFolder(other).bytes);
  });

  test('the archive holds every file with its own bytes', (t) => {
    const binary = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    const folder = tempFolder(t, { ...MAIN, 'path/ünïcode.ts': 'export const ö = "ö";' });
    mkdirSync(join(folder, 'static'));
    writeFileSync(join(folder, 'static/all.bin'), binary);
    writeFileSync(join(folder, 'empty.txt'), '');
    const zip = new AdmZip(packFolder(folder).bytes);
    const entries = Object.fromEntries(zip.getEntries().map((entry) => [entry.entryName, entry.getData()]));
    assert.deepEqual(Object.keys(entries), [
      'empty.txt',
      'lambda_main.ts',
      'path/ünïcode.ts',
      'static/all.bin',
    ]);
    assert.deepEqual(entries['static/all.bin'], binary);
    assert.equal(entries['path/ünïcode.ts']?.toString(), 'export const ö = "ö";');
    assert.equal(entries['empty.txt']?.length, 0);
  });

  test('names with a dot before them and ignored ones stay out', (t) => {
    const folder = tempFolder(t, {
      ...MAIN,
      '.env': 'SECRET=1',
      '.git/config': '',
      'a/.hidden/x.ts': '',
      'test/a.test.ts': '',
      'notes.md': '',
      'README.md': '',
      '.isolambdaignore': 'test/\n*.md\n!README.md\n',
    });
    assert.deepEqual(pathsOf(folder), ['README.md', 'lambda_main.ts']);
  });

  test('of node_modules, what only devDependencies need stays out; what was put there by hand goes in', (t) => {
    const folder = tempFolder(t, {
      ...MAIN,
      'package.json': pkg({ dependencies: { used: '1' }, devDependencies: { tool: '1', both: '1' } }),
      'node_modules/.bin/tool': '',
      'node_modules/.package-lock.json': '{}',
      'node_modules/used/package.json': pkg({ dependencies: { both: '1', '@scope/inner': '1' } }),
      'node_modules/used/index.js': '',
      'node_modules/used/index.d.ts': '',
      'node_modules/used/index.js.map': '',
      'node_modules/used/node_modules/nested/index.js': '',
      'node_modules/both/index.js': '',
      'node_modules/@scope/inner/index.js': '',
      'node_modules/tool/package.json': pkg({ dependencies: { deeptool: '1', nested: '1' } }),
      'node_modules/tool/index.js': '',
      'node_modules/tool/node_modules/nested/index.js': '',
      'node_modules/deeptool/index.js': '',
      'node_modules/byhand/index.js': '',
      'node_modules/lambda-tools/index.ts': '',
    });
    assert.deepEqual(pathsOf(folder), [
      'lambda_main.ts',
      'node_modules/@scope/inner/index.js',
      'node_modules/both/index.js',
      'node_modules/byhand/index.js',
      'node_modules/used/index.js',
      'node_modules/used/node_modules/nested/index.js',
      'node_modules/used/package.json',
      'package.json',
    ]);
  });

  test('a link within the folder is followed, its target packed as a file', (t) => {
    const folder = tempFolder(t, { ...MAIN, 'shared/a.ts': 'export const a = 1;' });
    symlinkSync('shared', join(folder, 'alias'));
    assert.deepEqual(pathsOf(folder), ['alias/a.ts', 'lambda_main.ts', 'shared/a.ts']);
  });

  const refusal = (folder: string): CommandError => {
    let error: unknown;
    try {
      packFolder(folder);
    } catch (thrown) {
      error = thrown;
    }
    assert.ok(error instanceof CommandError, 'packing must be refused');
    return error;
  };
  const linkCases: Readonly<Record<string, (t: TestContext, folder: string) => void>> = {
    link_outside: (t, folder) => symlinkSync(tempFolder(t, { secret: 'x' }), join(folder, 'out')),
    link_broken: (_, folder) => symlinkSync('nowhere', join(folder, 'out')),
    link_cycle: (_, folder) => symlinkSync('.', join(folder, 'out')),
  };
  for (const [rule, make] of Object.entries(linkCases))
    test(`${rule}: refused with the path, unless it is ignored`, (t) => {
      const folder = tempFolder(t, MAIN);
      make(t, folder);
      const error = refusal(folder);
      assert.equal(error.exit, 'refused');
      assert.deepEqual(
        error.problems.map((problem) => [problem.rule, problem.file]),
        [[rule, 'out']],
      );
      writeFileSync(join(folder, '.isolambdaignore'), 'out\n');
      assert.deepEqual(pathsOf(folder), ['lambda_main.ts']);
    });

  test('a folder without lambda_main is refused, one that is not there is not found', (t) => {
    assert.equal(refusal(tempFolder(t, { 'main.ts': '' })).exit, 'refused');
    assert.equal(refusal(join(tempFolder(t), 'none')).exit, 'notFound');
  });
});

describe('isolambda pack', () => {
  test('writes the zip, tells its size and files, and never packs itself', async (t) => {
    const folder = tempFolder(t, { ...MAIN, 'a.ts': 'export {};' });
    for (let round = 0; round < 2; round++) {
      const { code, stdout, stderr } = await runCli(['pack', '.', '-o', 'out.zip'], { cwd: folder });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^out\.zip: [\d,]+ bytes, 2 files of [\d,]+ bytes\n$/);
    }
    const names = new AdmZip(readFileSync(join(folder, 'out.zip')))
      .getEntries()
      .map((entry) => entry.entryName);
    assert.deepEqual(names, ['a.ts', 'lambda_main.ts']);
  });

  test('--json is one document with the same facts', async (t) => {
    const folder = tempFolder(t, MAIN);
    const { stdout } = await runCli(['pack', folder, '-o', join(folder, 'out.zip'), '--json']);
    const told = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(told.bytes, readFileSync(join(folder, 'out.zip')).length);
    assert.deepEqual(told.files, ['lambda_main.ts']);
  });

  test('a refusal names the problem on standard error and exits 3', async (t) => {
    const folder = tempFolder(t, MAIN);
    symlinkSync('/etc/hostname', join(folder, 'out'));
    const { code, stdout, stderr } = await runCli(['pack', folder, '-o', join(folder, 'out.zip')]);
    assert.equal(code, 3);
    assert.equal(stdout, '');
    assert.match(stderr, /out error link_outside is a link out of the folder/);
  });
});
