import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { stop } from 'esbuild';
import { buildFiles } from '../../src/archive/pipeline.ts';

after(() => stop());

const ROOT = join(import.meta.dirname, '../../fixtures/broken');
const EXPECTED = 'problems.json';
const LIMITS = { archive_bytes: 1e6, unpacked_bytes: 1e6, archive_files: 100, bundle_bytes: 1e6 };

/** Each folder is a lambda that is refused; its problems.json says why and where. */
describe('fixtures/broken', () => {
  const folders = readdirSync(ROOT, { withFileTypes: true }).filter((item) => item.isDirectory());
  assert.ok(folders.length >= 9);
  for (const { name } of folders)
    it(name, async () => {
      const folder = join(ROOT, name);
      const names = readdirSync(folder).filter((file) => file !== EXPECTED);
      const files = new Map(names.map((file) => [file, readFileSync(join(folder, file))]));
      const result = await buildFiles(files, { type: 'standalone', limits: LIMITS });
      assert.equal(result.ok, false);
      assert.deepEqual(
        result.problems.map(
          ({ rule, file, line, column }) =>
            JSON.parse(JSON.stringify({ rule, file, line, column })) as unknown,
        ),
        JSON.parse(readFileSync(join(folder, EXPECTED), 'utf8')),
      );
    });
});
