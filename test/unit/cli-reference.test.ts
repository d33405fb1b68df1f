import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { withReference } from '../../src/cli/reference.ts';
import { LIMIT_KEYS } from '../../src/config/limits.ts';
import { OPTION_NAMES, variableOf } from '../../src/config/options.ts';

const page = readFileSync(new URL('../../docs/operators.md', import.meta.url), 'utf8');

test('the tables of docs/operators.md are those of the code', () => {
  assert.equal(page, withReference(page), 'run: node src/cli/write-reference.ts');
});

test('every option and limit stands in docs/operators.md', () => {
  for (const name of OPTION_NAMES) assert.ok(page.includes(`\`${variableOf(name)}\``), name);
  for (const key of LIMIT_KEYS) assert.ok(page.includes(`| \`${key}\``), key);
});
