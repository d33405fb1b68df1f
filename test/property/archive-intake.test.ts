import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { writeZip, type Entry } from '../../fixtures/broken/zip-writer.ts';
import { parseConfig } from '../../src/archive/config-file.ts';
import { readArchive } from '../../src/archive/intake.ts';

/** Few by default; ISOLAMBDA_PROPERTY_RUNS=n for a long run. */
const numRuns = Number(process.env.ISOLAMBDA_PROPERTY_RUNS ?? 300);
const LIMITS = { archive_bytes: 100_000, unpacked_bytes: 20_000, archive_files: 20 };

/** What holds for any bytes at all: an answer, never a throw; and nothing beyond the limits. */
function judge(zip: Buffer): ReturnType<typeof readArchive> {
  const result = readArchive(zip, LIMITS);
  if (!result.ok) {
    assert.ok(result.problems.length > 0);
    assert.ok(
      result.problems.every(
        ({ severity, rule, mend }) => severity === 'error' && /^[a-z0-9_]+$/.test(rule) && mend,
      ),
    );
    return result;
  }
  assert.ok(result.files.size <= LIMITS.archive_files);
  let total = 0;
  const seen = new Set<string>();
  for (const [path, file] of result.files) {
    total += file.length;
    assert.ok(!path.split('/').some((part) => part === '..' || part === '.' || part === ''), path);
    assert.doesNotMatch(path, /[\\\u0000-\u001f]|^[a-zA-Z]:/);
    assert.ok(!seen.has(path.toLowerCase()), path);
    seen.add(path.toLowerCase());
  }
  assert.ok(total <= LIMITS.unpacked_bytes);
  return result;
}

const name = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9_]{1,8}(\/[a-zA-Z0-9_]{1,8}){0,3}\/?$/),
  fc.string({ maxLength: 12, unit: 'binary' }),
  fc.constantFrom('../a', '/a', 'a//b', 'C:a', 'a\\b', 'con', 'A', 'a', 'a/', '__proto__', '__MACOSX/x', ''),
);
const entry: fc.Arbitrary<Entry> = fc.record(
  {
    name,
    data: fc.oneof(fc.string({ maxLength: 200 }), fc.constant('x'.repeat(5_000))),
    deflate: fc.boolean(),
    mode: fc.constantFrom(0o100644, 0o040755, 0o120777, 0o020666),
    flags: fc.constantFrom(0, 1, 8, 1 << 11, 1 << 13),
    descriptor: fc.record({ signature: fc.boolean() }),
    central: fc.record(
      {
        bytes: fc.nat({ max: 0xffffffff }),
        compressedBytes: fc.nat({ max: 300 }),
        localAt: fc.nat({ max: 500 }),
      },
      { requiredKeys: [] },
    ),
    local: fc.record(
      { bytes: fc.nat({ max: 300 }), method: fc.constantFrom(0, 8, 12) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['name'] },
);
const honest = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-z]{1,6}(\/[a-z]{1,6}){0,2}\.ts$/),
    data: fc.string({ maxLength: 300 }),
    deflate: fc.boolean(),
  }),
  {
    minLength: 1,
    maxLength: 10,
    selector: (item) => item.name,
  },
);

describe('intake holds for', () => {
  it('honest zips: every file comes back as it was', () => {
    fc.assert(
      fc.property(honest, (entries) => {
        // A file may not stand where another has a folder; with an ending on every name none does.
        const result = judge(writeZip(entries));
        if (!result.ok) {
          // The one refusal that honest names can meet: lambda_main is never among these, device names may be.
          assert.ok(
            result.problems.every(({ rule }) => rule === 'zip_name_reserved'),
            JSON.stringify(result.problems),
          );
          return;
        }
        assert.deepEqual(
          [...result.files].map(([path, file]) => [path, Buffer.from(file).toString()]),
          entries.map((item) => [item.name, item.data]),
        );
      }),
      { numRuns },
    );
  });
  it('zips whose headers say what they like', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (entries) => void judge(writeZip(entries))),
      { numRuns },
    );
  });
  it('honest zips with a few bytes changed, cut or added', () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(
        honest,
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat({ max: 4 }),
        (entries, changes, cut) => {
          const zip = writeZip(entries);
          for (const { at, byte } of changes) zip[at % zip.length] = byte;
          judge(zip.subarray(0, zip.length - cut));
          judge(Buffer.concat([Buffer.alloc(cut), zip]));
        },
      ),
      { numRuns },
    );
  });
  it('any bytes', () => {
    const signatures = fc.constantFrom(
      'PK\u0005\u0006',
      'PK\u0003\u0004',
      'PK\u0001\u0002',
      'PK\u0006\u0006',
      'PK\u0006\u0007',
      'PK\u0007\u0008',
    );
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      signatures.map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => void judge(Buffer.concat(pieces))),
      { numRuns },
    );
  });
});

describe('lambda_config.yml holds for', () => {
  it('whatever JSON can say, written as JSON', () => {
    const tree = fc.dictionary(
      fc.string({ maxLength: 10 }).filter((key) => key !== '__proto__' && key !== '<<'),
      fc.jsonValue({ maxDepth: 4 }),
      { maxKeys: 6 },
    );
    fc.assert(
      fc.property(tree, (value) => {
        const json = JSON.stringify(value);
        const { config, problems } = parseConfig(Buffer.from(json));
        // YAML's own limits: numbers that only JSON writes so, keys that are too long, prototypes further down.
        if (problems.length > 0) return;
        assert.deepEqual(config, JSON.parse(json));
      }),
      { numRuns },
    );
  });
  it('any text: an answer, never a throw, and only what JSON can hold', () => {
    const piece = fc.constantFrom(
      'a: ',
      'b:\n',
      '  ',
      '- ',
      '&x ',
      '*x',
      '<<: ',
      '!t ',
      '!!map ',
      '{',
      '}',
      '[',
      ']',
      ', ',
      '"',
      "'",
      '|',
      '>',
      '---',
      '\n',
      '? ',
      '#',
      '%',
      '.inf',
      '1e9',
      '~',
      '__proto__',
      '\t',
      '\u0000',
    );
    const text = fc.oneof(
      fc.string({ maxLength: 80, unit: 'binary' }),
      fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, (source) => {
        const { config, problems } = parseConfig(Buffer.from(source));
        assert.ok(problems.every(({ line = 1, column = 1 }) => line >= 1 && column >= 1));
        assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
      }),
      { numRuns },
    );
  });
});
