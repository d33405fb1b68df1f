import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import AdmZip from 'adm-zip';
import { writeZip, type End, type Entry } from '../../fixtures/broken/zip-writer.ts';
import { readArchive, type IntakeLimits } from '../../src/archive/intake.ts';
import { MAX_RATIO, RATIO_FROM_BYTES } from '../../src/archive/zip-directory.ts';
import { MAX_PATH_BYTES, MAX_PATH_DEPTH } from '../../src/archive/zip-names.ts';

const MiB = 1024 * 1024;
const LIMITS: IntakeLimits = { archive_bytes: 20 * MiB, unpacked_bytes: 100 * MiB, archive_files: 5_000 };
const MAIN: Entry = { name: 'lambda_main.ts', data: 'export const main = () => 1;', deflate: true };

function rulesOf(zip: Buffer, limits: Partial<IntakeLimits> = {}): string[] {
  const result = readArchive(zip, { ...LIMITS, ...limits });
  for (const problem of result.problems) {
    assert.equal(problem.severity, 'error');
    assert.ok(problem.mend.length > 0);
    assert.doesNotMatch(problem.message, /[\u0000-\u001f]/, 'a message must not carry control characters');
  }
  assert.equal(result.ok, result.problems.length === 0);
  return [...new Set(result.problems.map(({ rule }) => rule))];
}
function filesOf(zip: Buffer): Record<string, string> {
  const result = readArchive(zip, LIMITS);
  assert.ok(result.ok, JSON.stringify(result.problems));
  return Object.fromEntries([...result.files].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]));
}
const zip = (...entries: Entry[]): Buffer => writeZip([MAIN, ...entries]);
const refuses = (rule: string, cases: Record<string, Buffer>, limits?: Partial<IntakeLimits>): void => {
  for (const [name, bytes] of Object.entries(cases))
    it(`${rule}: ${name}`, () => assert.deepEqual(rulesOf(bytes, limits), [rule]));
};
const accepts = (cases: Record<string, Buffer>): void => {
  for (const [name, bytes] of Object.entries(cases))
    it(`accepts ${name}`, () => assert.deepEqual(rulesOf(bytes), []));
};

describe('honest zips', () => {
  it('gives the files of what adm-zip packs', () => {
    const made = new AdmZip();
    made.addFile('lambda_main.ts', Buffer.from('export {};'));
    made.addFile('path/', Buffer.alloc(0));
    made.addFile('path/ä.txt', Buffer.from('ä'));
    made.addFile('empty', Buffer.alloc(0));
    assert.deepEqual(filesOf(made.toBuffer()), {
      'lambda_main.ts': 'export {};',
      'path/ä.txt': 'ä',
      empty: '',
    });
  });
  it('leaves out what macOS adds', () => {
    const made = zip(
      { name: '__MACOSX/' },
      { name: '__MACOSX/._lambda_main.ts', data: 'x' },
      { name: 'a/.DS_Store', data: 'x' },
    );
    assert.deepEqual(Object.keys(filesOf(made)), ['lambda_main.ts']);
  });
  it('keeps a name that is also one of Object.prototype', () => {
    assert.deepEqual(
      filesOf(zip({ name: '__proto__', data: 'x' }, { name: 'constructor', data: 'y' })).constructor,
      'y',
    );
  });
  accepts({
    'a stored file': zip({ name: 'a', data: 'stored' }),
    'sizes after the data': zip({ name: 'a', data: 'abc', deflate: true, descriptor: {} }),
    'sizes after the data, without their mark': zip({
      name: 'a',
      data: 'abc',
      deflate: true,
      descriptor: { signature: false },
    }),
    'a comment': writeZip([MAIN], { comment: Buffer.from('made by hand') }),
    'comments of entries': zip({ name: 'a', comment: 'hello' }),
    'Unix modes': zip({ name: 'a', mode: 0o100755 }, { name: 'b/', mode: 0o040755 }),
    'UTF-8 names that are not marked as such': zip({ name: 'ä' }),
    'an extra field': zip({ name: 'a', central: { extra: Buffer.from([0x55, 0x54, 1, 0, 9]) } }),
  });
});

describe('not a zip, or not one alone', () => {
  refuses('zip_not_a_zip', {
    nothing: Buffer.alloc(0),
    text: Buffer.from('export const main = () => 1;'.repeat(10)),
    'a cut zip': writeZip([MAIN]).subarray(0, 40),
  });
  refuses('zip_trailing_data', {
    'bytes after the end': writeZip([MAIN], { suffix: Buffer.from('x') }),
    'a comment that was cut': writeZip([MAIN], { comment: Buffer.from('comment') }).subarray(0, -1),
  });
  refuses('zip_prepended_data', {
    'a script before the zip, with right offsets': writeZip([MAIN], { prefix: Buffer.from('#!/bin/sh\n') }),
    'bytes between directory and end': writeZip([MAIN], { beforeEnd: Buffer.from('xxxx') }),
  });
  refuses('zip_ambiguous', {
    'a second archive in the comment': writeZip([MAIN], { comment: writeZip([{ ...MAIN, data: 'other' }]) }),
    'an end record in the comment': writeZip([MAIN], {
      comment: Buffer.concat([Buffer.from('PK\u0005\u0006'), Buffer.alloc(40)]),
    }),
    'zip64 marks in the comment': writeZip([MAIN], {
      comment: Buffer.from('PK\u0006\u0007' + ' '.repeat(30)),
    }),
  });
  refuses('zip_empty', { 'no entries': writeZip([]) });
  refuses('zip_broken', {
    'a directory larger than its entries': writeZip([MAIN, { name: 'a' }], { count: 1 }),
    'fewer entries than declared': writeZip([MAIN], { count: 2 }),
    'a directory in the wrong place': writeZip([MAIN], {
      centralAt: 3,
      centralBytes: writeZip([MAIN]).length - 25,
    }),
    'an extra field that is cut': zip({ name: 'a', central: { extra: Buffer.from([1, 2, 200, 0]) } }),
  });
  refuses('zip_multi_disk', {
    'one part of several': writeZip([MAIN], { disk: 1 }),
    'entries on other disks': writeZip([MAIN], { onDisk: 5 }),
    'an entry that begins elsewhere': zip({ name: 'a', disk: 1 }),
  });
  refuses('zip_zip64', {
    'a count that only zip64 can say': writeZip([MAIN], { count: 0xffff }),
    'an offset that only zip64 can say': writeZip([MAIN], { centralAt: 0xffffffff }),
    'a locator': writeZip([MAIN], {
      beforeEnd: Buffer.concat([Buffer.from('PK\u0006\u0007'), Buffer.alloc(16)]),
    }),
    'an extra field': zip({
      name: 'a',
      central: { extra: Buffer.from([1, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0]) },
    }),
    'a size': zip({ name: 'a', data: 'x', central: { bytes: 0xffffffff } }),
  });
});

describe('names', () => {
  refuses('zip_traversal', {
    'a path upwards': zip({ name: '../etc/passwd' }),
    'a path up and down': zip({ name: 'a/../../b' }),
    'a path back into the archive': zip({ name: 'a/../b' }),
    'two dots': zip({ name: '..' }),
  });
  refuses('zip_absolute', {
    'a path from the root': zip({ name: '/etc/passwd' }),
    'a drive': zip({ name: 'C:/a' }),
    'a drive alone': zip({ name: 'c:a' }),
  });
  refuses('zip_backslash', {
    backslashes: zip({ name: '..\\..\\a' }),
    'a share': zip({ name: '\\\\host\\share' }),
  });
  refuses('zip_name_character', {
    NUL: zip({ name: 'a\0b' }),
    'a line break': zip({ name: 'a\nb' }),
    DEL: zip({ name: 'a\u007f' }),
    'a mark that turns text around': zip({ name: 'a\u202etxt.exe' }),
    'an escape sequence': zip({ name: '\u001b[31m' }),
  });
  refuses('zip_name_encoding', {
    latin1: zip({ name: Buffer.from([0x61, 0xe4]) }),
    'an overlong slash': zip({ name: Buffer.from([0x2e, 0x2e, 0xc0, 0xaf]) }),
  });
  refuses('zip_name_empty', {
    'no name': zip({ name: '' }),
    'an empty part': zip({ name: 'a//b' }),
    'a dot': zip({ name: './a' }),
  });
  refuses('zip_name_reserved', {
    'a device of Windows': zip({ name: 'a/nul' }),
    'a device with an ending': zip({ name: 'COM1.txt' }),
    'a dot at the end': zip({ name: 'a.' }),
    'a space at the end': zip({ name: 'a /b' }),
    'a second stream': zip({ name: 'ab:c' }),
  });
  const long = (bytes: number): string => `${'a'.repeat(200)}/`.repeat(10).slice(0, bytes - 1) + 'b';
  refuses('zip_path_too_long', {
    'a path over the bound': zip({ name: long(MAX_PATH_BYTES + 1) }),
    'a part over the bound': zip({ name: 'a'.repeat(256) }),
  });
  refuses('zip_path_too_deep', { 'a path over the bound': zip({ name: 'a/'.repeat(MAX_PATH_DEPTH) + 'b' }) });
  accepts({
    'a path at the bound': zip({ name: long(MAX_PATH_BYTES) }),
    'a part at the bound': zip({ name: 'a'.repeat(255) }),
    'depth at the bound': zip({ name: 'a/'.repeat(MAX_PATH_DEPTH - 1) + 'b' }),
    'dots that lead nowhere': zip({ name: '.gitignore' }, { name: '...a' }, { name: 'a..b/c' }),
    'console.log.js': zip({ name: 'console.js' }, { name: 'common/auxiliary.ts' }),
  });
});

describe('entries that are one for some systems', () => {
  refuses('zip_duplicate', {
    'twice the same': zip({ name: 'a', data: '1' }, { name: 'a', data: '2' }),
    'a folder twice': zip({ name: 'a/' }, { name: 'a/' }),
  });
  refuses('zip_collision', {
    case: zip({ name: 'README' }, { name: 'readme' }),
    'case of a folder': zip({ name: 'A/x' }, { name: 'a/y' }),
    'normal forms': zip({ name: 'caf\u00e9' }, { name: 'cafe\u0301' }),
    'a ligature': zip({ name: 'ﬁle' }, { name: 'file' }),
    'sharp s': zip({ name: 'straße' }, { name: 'STRASSE' }),
  });
  refuses('zip_file_or_folder', {
    'a file where a folder is': zip({ name: 'a/b' }, { name: 'a' }),
    'a folder where a file is': zip({ name: 'a' }, { name: 'a/' }),
    'a folder by its name only': zip({ name: 'a/', mode: 0o100644 }),
    'a folder by its mode only': zip({ name: 'a', mode: 0o040755 }),
    'a folder by its DOS attribute only': zip({ name: 'a', attributes: 0x10 }),
    'a folder with content': zip({ name: 'a/', data: 'x' }),
  });
  accepts({ 'a folder beside its files': zip({ name: 'a/' }, { name: 'a/b' }, { name: 'a/c' }) });
});

describe('links and devices', () => {
  refuses('zip_link', {
    'a symbolic link': zip({ name: 'a', data: '/etc/passwd', mode: 0o120777 }),
    'a link that says it was made on DOS': zip({ name: 'a', data: '/etc', mode: 0o120777, madeBy: 20 }),
  });
  refuses('zip_device', {
    'a character device': zip({ name: 'a', mode: 0o020666 }),
    'a block device': zip({ name: 'a', mode: 0o060666 }),
    'a pipe': zip({ name: 'a', mode: 0o010666 }),
    'a socket': zip({ name: 'a', mode: 0o140666 }),
  });
});

describe('encryption and methods', () => {
  refuses('zip_encrypted', {
    'the old way': zip({ name: 'a', flags: 1 }),
    'the strong way': zip({ name: 'a', flags: 1 << 6 }),
    'a masked directory': zip({ name: 'a', flags: 1 << 13 }),
    AES: zip({ name: 'a', central: { extra: Buffer.from([0x01, 0x99, 0, 0]) } }),
  });
  refuses('zip_method', {
    bzip2: zip({ name: 'a', central: { method: 12 }, local: { method: 12 } }),
    'patch data': zip({ name: 'a', flags: 1 << 5 }),
  });
});

describe('headers that disagree', () => {
  refuses('zip_headers_disagree', {
    'another name': zip({ name: 'a', local: { name: 'b' } }),
    'another method': zip({ name: 'a', local: { method: 8 } }),
    'another size': zip({ name: 'a', data: 'abc', local: { bytes: 2 } }),
    'another checksum': zip({ name: 'a', data: 'abc', local: { crc: 1 } }),
    'other flags': zip({ name: 'a', local: { flags: 8 } }),
    'no local header': zip({ name: 'a', central: { localAt: 1 } }),
    'other sizes after the data': zip({ name: 'a', data: 'abc', descriptor: { bytes: 2 } }),
    'a second name in an extra field': zip({
      name: 'a',
      central: { extra: Buffer.from([0x75, 0x70, 6, 0, 1, 0, 0, 0, 0, 0x62]) },
    }),
  });
  it('zip_headers_disagree or zip_overlap: data that run over the end', () => {
    const rules = rulesOf(
      zip({
        name: 'a',
        data: 'abc',
        central: { compressedBytes: 9_000, bytes: 9_000 },
        local: { compressedBytes: 9_000, bytes: 9_000 },
      }),
    );
    assert.ok(rules.includes('zip_headers_disagree'), String(rules));
  });
  refuses('zip_hidden_data', {
    'bytes between entries': writeZip([{ ...MAIN, gap: Buffer.from('hidden') }, { name: 'a' }]),
    'bytes before the directory': zip({ name: 'a', gap: Buffer.from('h') }),
  });
  it('zip_overlap: two entries share their bytes', () => {
    const first = writeZip([MAIN]);
    const rules = rulesOf(zip({ ...MAIN, name: 'lambda_mai2.ts', central: { localAt: 0 } }));
    assert.ok(rules.includes('zip_overlap') && first.length > 0, String(rules));
  });
  it('zip_overlap: a quoted local header, as overlapping bombs have it', () => {
    const kernel = Buffer.from('x'.repeat(100));
    const inner = writeZip([{ name: 'b', data: kernel }]).subarray(0, 30 + 1 + 100);
    const outer = writeZip([
      { name: 'a', data: inner },
      { name: 'b', data: kernel, central: { localAt: 31 } },
    ]);
    assert.ok(rulesOf(outer).includes('zip_overlap'));
  });
});

describe('sizes', () => {
  refuses('zip_lying_size', {
    'stored, with two sizes': zip({ name: 'a', data: 'abc', central: { bytes: 5 }, local: { bytes: 5 } }),
    'deflated to more than declared': zip({
      name: 'a',
      data: 'abcdef',
      deflate: true,
      central: { bytes: 3 },
      local: { bytes: 3 },
    }),
    'deflated to less than declared': zip({
      name: 'a',
      data: 'abc',
      deflate: true,
      central: { bytes: 9 },
      local: { bytes: 9 },
    }),
    'deflated to something, declared as nothing': zip({
      name: 'a',
      data: 'abcdef',
      deflate: true,
      central: { bytes: 0 },
      local: { bytes: 0 },
    }),
  });
  refuses('zip_broken', {
    'a wrong checksum': zip({ name: 'a', data: 'abc', central: { crc: 7 }, local: { crc: 7 } }),
    'no deflate stream': zip({ name: 'a', packed: Buffer.from([0xff, 0xff, 0xff]), data: 'abc' }),
  });
  const zeros = (bytes: number): Buffer => zip({ name: 'a', data: Buffer.alloc(bytes), deflate: true });
  refuses('zip_bomb', { 'zeros over a MiB': zeros(RATIO_FROM_BYTES + 1) });
  accepts({ 'zeros up to a MiB': zeros(RATIO_FROM_BYTES) });
  it(`accepts what grows ${MAX_RATIO} times, and no more`, () => {
    const entry = (noise: number): { zip: Buffer; ratio: number } => {
      const data = Buffer.concat([Buffer.alloc(2 * MiB), randomBytes(noise)]);
      return {
        zip: zip({ name: 'a', data, deflate: true }),
        ratio: data.length / deflateRawSync(data).length,
      };
    };
    const below = entry(7_600);
    const above = entry(7_000);
    assert.ok(below.ratio < MAX_RATIO && below.ratio > MAX_RATIO - 15, String(below.ratio));
    assert.ok(above.ratio > MAX_RATIO && above.ratio < MAX_RATIO + 15, String(above.ratio));
    assert.deepEqual(rulesOf(below.zip), []);
    assert.deepEqual(rulesOf(above.zip), ['zip_bomb']);
  });
  it('holds an entry that lies about its size to what it declares', () => {
    const bomb = zip({
      name: 'a',
      data: Buffer.alloc(50 * MiB),
      deflate: true,
      central: { bytes: 100 },
      local: { bytes: 100 },
    });
    const before = process.memoryUsage().arrayBuffers;
    assert.deepEqual(rulesOf(bomb), ['zip_lying_size']);
    assert.ok(process.memoryUsage().arrayBuffers - before < 10 * MiB);
  });
  it('unpacked_bytes, on either side', () => {
    const made = writeZip([
      { ...MAIN, data: 'a'.repeat(1_000) },
      { name: 'b', data: 'b'.repeat(1_000) },
    ]);
    assert.deepEqual(rulesOf(made, { unpacked_bytes: 2_000 }), []);
    assert.deepEqual(rulesOf(made, { unpacked_bytes: 1_999 }), ['zip_too_large']);
  });
  it('archive_files, on either side', () => {
    const made = zip({ name: 'a' }, { name: 'b' });
    assert.deepEqual(rulesOf(made, { archive_files: 3 }), []);
    assert.deepEqual(rulesOf(made, { archive_files: 2 }), ['zip_too_many_files']);
  });
  it('archive_bytes, on either side', () => {
    const made = zip();
    assert.deepEqual(rulesOf(made, { archive_bytes: made.length }), []);
    assert.deepEqual(rulesOf(made, { archive_bytes: made.length - 1 }), ['archive_too_large']);
  });
  it('refuses 65,534 entries by their number, before it reads them', () => {
    const end: End = { count: 65_534 };
    assert.deepEqual(rulesOf(writeZip([MAIN], end)), ['zip_too_many_files']);
  });
  it('reads the whole number of entries that is allowed', () => {
    const entries = Array.from({ length: LIMITS.archive_files }, (_, i) => ({
      name: `f/${i}`,
      data: String(i),
    }));
    assert.equal(Object.keys(filesOf(writeZip(entries))).length, LIMITS.archive_files);
  });
});

describe('a folder was packed, and not what is in it', () => {
  refuses('zip_top_folder', {
    'with its entry': writeZip([
      { name: 'my-lambda/' },
      { ...MAIN, name: 'my-lambda/lambda_main.ts' },
      { name: 'my-lambda/a.ts' },
    ]),
    'with what macOS adds': writeZip([
      { ...MAIN, name: 'x/lambda_main.js' },
      { name: '__MACOSX/x/._lambda_main.js' },
    ]),
  });
  it('says how to mend it', () => {
    const result = readArchive(writeZip([{ ...MAIN, name: 'my-lambda/lambda_main.ts' }]), LIMITS);
    assert.match(result.problems[0]?.mend ?? '', /cd my-lambda && zip -r/);
  });
  accepts({
    'lambda_main in a folder beside other files': writeZip([
      { ...MAIN, name: 'x/lambda_main.ts' },
      { name: 'a' },
    ]),
  });
});

it('tells all entries that are wrong', () => {
  const result = readArchive(zip({ name: '../a' }, { name: '/b' }, { name: 'c\\d' }), LIMITS);
  assert.deepEqual(
    result.problems.map(({ rule }) => rule),
    ['zip_traversal', 'zip_absolute', 'zip_backslash'],
  );
});
