import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { errorReference, errorsMarkdown } from '../../src/errors/reference.ts';
import { errorBody, IsolambdaError } from '../../src/errors/error.ts';
import { ERROR_NAMES, ERRORS } from '../../src/errors/table.ts';
import { checker } from '../../src/schemas/check.ts';
import { ErrorReply } from '../../src/schemas/index.ts';

test('docs/errors.md is what the table says: node src/errors/write-reference.ts writes it', async () => {
  const kept = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  assert.equal(kept, errorsMarkdown());
});

test('every error of the table stands in the reference once, by its code', () => {
  const entries = errorReference();
  const codes = entries.map(({ code }) => code);
  assert.deepEqual(
    codes,
    [...new Set(codes)].sort((a, b) => a - b),
  );
  const named = entries.flatMap(({ code, causes }) => causes.map(({ name }) => [name, code] as const));
  assert.equal(named.length, ERROR_NAMES.length);
  for (const [name, code] of named) assert.equal(ERRORS[name].code, code);
});

test('every error body is what the schema says', () => {
  const check = checker(ErrorReply);
  for (const name of ERROR_NAMES) check(errorBody(name, 'detail'), name);
  check(
    new IsolambdaError('validation', 'two things', { problems: [{ rule: 'x' }, 'y'] }).body(),
    'problems',
  );
});
