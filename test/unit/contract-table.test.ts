/** docs/contract.md names the test that holds each promise: each of them must exist, under just that name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

const ROWS = read('docs/contract.md')
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| *(-+|Promise) *\|/.test(line))
  .map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );

/** Names of the tests and suites in a source, as they are written there; templates keep their `${...}`. */
function namesIn(source: string): Set<string> {
  const calls = source.matchAll(
    /\b(?:test|it|describe)\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g,
  );
  return new Set([...calls].map(([, single, double, template]) => single ?? double ?? template ?? ''));
}

test('every row of the table has a promise, a file and a test', () => {
  assert.ok(ROWS.length >= 60, `${ROWS.length} rows`);
  for (const row of ROWS) {
    assert.equal(row.length, 3, row.join(' | '));
    assert.match(row[1]!, /^`test\/(unit|integration|e2e|property|security)\/[\w-]+\.test\.ts`$/);
  }
});

test('every test that the table names exists', () => {
  const missing = ROWS.filter(([, file, name]) => !namesIn(read(file!.slice(1, -1))).has(name!));
  assert.deepEqual(
    missing.map(([, file, name]) => `${file}: ${name}`),
    [],
  );
});

test('a name that no test has would be found missing', () => {
  const names = namesIn("test('there', () => {});\n  it(`made of ${part}`, () => {});\n// test(not a call)");
  assert.deepEqual([...names], ['there', 'made of ${part}']);
});
