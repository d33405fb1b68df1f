import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { writeZip, type Entry } from '../../fixtures/broken/zip-writer.ts';
import { readArchive } from '../../src/archive/intake.ts';
import { area } from './runs.ts';

const { holds } = area(4);

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
    maxLength: 5,
    selector: (item) => item.name,
  },
);

describe('intake holds for', () => {
  it('honest zips: every file comes back as it was', () => {
    holds(
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
    );
  });
  it('zips whose headers say what they like', () => {
    holds(fc.property(fc.array(entry, { maxLength: 6 }), (entries) => void judge(writeZip(entries))));
  });
  it('honest zips with a few bytes changed, cut or added', () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) });
    holds(
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
    holds(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => void judge(Buffer.concat(pieces))));
  });
});
