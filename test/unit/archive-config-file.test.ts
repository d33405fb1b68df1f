import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  MAX_CONFIG_ALIASES,
  MAX_CONFIG_BYTES,
  MAX_CONFIG_DEPTH,
  MAX_CONFIG_JSON_BYTES,
  MAX_MERGED_KEYS,
  parseConfig,
  readConfigFile,
} from '../../src/archive/config-file.ts';

const read = (text: string): unknown => {
  const { config, problems } = parseConfig(Buffer.from(text));
  assert.deepEqual(problems, []);
  return config;
};
const refused = (text: string | Buffer): string => {
  const { config, problems } = parseConfig(Buffer.from(text));
  assert.equal(config, null);
  const [problem] = problems;
  assert.ok(problem, 'should be refused');
  assert.equal(problem.file, 'lambda_config.yml');
  return `${problem.rule} ${problem.line ?? ''}:${problem.column ?? ''}`;
};

describe('lambda_config.yml', () => {
  it("reads the seed's example", () => {
    const text = `name: "My Lambda"
version: 5
database:
  type: "postgresql"
  host: "10.8.0.1"
  port: 5432
  name: "my_lambda_db"
  user: "db_user"
  password: "db_password"
logging:
  level: "info"
  format: "text"
features:
  feature_1: true
  feature_2: false
users:
- name: "admin"
  email: "admin@example.com"
- name: "user"
  email: "user@example.com"
`;
    assert.deepEqual(read(text), {
      name: 'My Lambda',
      version: 5,
      database: {
        type: 'postgresql',
        host: '10.8.0.1',
        port: 5432,
        name: 'my_lambda_db',
        user: 'db_user',
        password: 'db_password',
      },
      logging: { level: 'info', format: 'text' },
      features: { feature_1: true, feature_2: false },
      users: [
        { name: 'admin', email: 'admin@example.com' },
        { name: 'user', email: 'user@example.com' },
      ],
    });
  });
  it('keeps dates and yes as texts', () =>
    assert.deepEqual(read('a: 2026-01-31\nb: 2001-12-14t21:59:43.10-05:00\nc: yes'), {
      a: '2026-01-31',
      b: '2001-12-14t21:59:43.10-05:00',
      c: 'yes',
    }));
  it('writes aliases and merges out', () =>
    assert.deepEqual(read('a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n  y: 2'), {
      a: { x: 1 },
      b: { x: 1 },
      c: { x: 1, y: 2 },
    }));
  it('takes an empty file, or none, for no configuration', () => {
    assert.equal(read(''), null);
    assert.equal(read('# nothing\n'), null);
    assert.deepEqual(readConfigFile(new Map()), { config: null, problems: [] });
  });
  it('reads past a byte order mark', () => assert.deepEqual(read('\ufeffa: 1'), { a: 1 }));
  it('asks for the right name', () => {
    const { problems } = readConfigFile(new Map([['lambda_config.yaml', Buffer.from('a: 1')]]));
    assert.equal(problems[0]?.rule, 'config_name');
    assert.match(problems[0].mend, /lambda_config\.yml/);
  });

  const cases: Record<string, [text: string, expected: string]> = {
    'bad syntax': ['a: [1, 2', 'config_syntax 1:9'],
    'a tab': ['a:\n\tb: 1', 'config_syntax 2:1'],
    'duplicate keys': ['a: 1\nb: 2\na: 3', 'config_duplicate_key 3:1'],
    'duplicate keys inside': ['a:\n  b: 1\n  b: 2', 'config_duplicate_key 3:3'],
    'a custom tag': ['a: !thing 1', 'config_tag 1:4'],
    'a tag of code': ['a: !!js/function "function () {}"', 'config_tag 1:4'],
    'a Python object': ['a: !!python/object/apply:os.system ["id"]', 'config_tag 1:4'],
    'binary data': ['a: !!binary aGVsbG8=', 'config_tag 1:4'],
    'a set': ['a: !!set {x}', 'config_tag 1:4'],
    'a timestamp tag': ['a: !!timestamp 2001-01-01', 'config_tag 1:4'],
    infinity: ['a: -.inf', 'config_number 1:4'],
    'no number': ['a: 1\nb: .nan', 'config_number 2:4'],
    'a whole number that JSON would round': ['id: 12345678901234567890', 'config_number 1:5'],
    'an infinity with a tag': ['a: !!float .inf', 'config_number :'],
    'two documents': ['a: 1\n---\nb: 2', 'config_documents :'],
    'a list at the top': ['- a', 'config_not_mapping :'],
    'a text at the top': ['hello', 'config_not_mapping :'],
    'an unknown alias': ['a: *b', 'config_alias 1:5'],
    'a tree that holds itself': ['a: &a [*a]', 'config_alias :'],
    'a mapping that holds itself': ['a: &a {b: *a}', 'config_alias :'],
    'a key that is a prototype': ['__proto__: {polluted: true}', 'config_key :'],
    'a prototype by merge': ['a: &a {"__proto__": {p: 1}}\nb:\n  <<: *a', 'config_key :'],
    'a key that is a list': ['? [a]\n: 1', 'config_syntax 1:1'],
  };
  for (const [name, [text, expected]] of Object.entries(cases))
    it(`refuses ${name}`, () => assert.equal(refused(text), expected));
  it('refuses what is no UTF-8', () =>
    assert.equal(refused(Buffer.from([0x61, 0x3a, 0x20, 0xff])), 'config_encoding :'));
});

describe('limits of lambda_config.yml', () => {
  it('size', () => {
    const text = (bytes: number): string => 'a: "'.padEnd(bytes - 1, 'x') + '"';
    read(text(MAX_CONFIG_BYTES));
    assert.equal(refused(text(MAX_CONFIG_BYTES + 1)), 'config_too_large :');
  });
  it('depth', () => {
    const text = (depth: number): string => `a: ${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}`;
    read(text(MAX_CONFIG_DEPTH));
    assert.match(refused(text(MAX_CONFIG_DEPTH + 1)), /^config_too_deep/);
    assert.match(refused(text(100_000)), /^config_too_deep/);
  });
  it('depth by aliases', () => {
    const lines = ['a0: &a0 {x: 1}'];
    for (let i = 1; i < 90; i++) lines.push(`a${i}: &a${i} {x: *a${i - 1}}`);
    assert.match(refused(lines.join('\n')), /^config_too_deep/);
  });
  it('number of aliases', () => {
    const text = (count: number): string =>
      `a: &a 1\nb: [${Array.from({ length: count }, () => '*a').join(', ')}]`;
    read(text(MAX_CONFIG_ALIASES));
    assert.match(refused(text(MAX_CONFIG_ALIASES + 1)), /^config_alias/);
  });
  it('size with aliases written out', () => {
    const lines = ['a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]'];
    for (let i = 1; i < 9; i++)
      lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`);
    assert.equal(refused(lines.join('\n')), 'config_too_large :');
    const copies = (count: number): string =>
      `a: &a "${'x'.repeat(100_000)}"\nb: [${Array.from({ length: count }, () => '*a').join(', ')}]`;
    assert.ok(JSON.stringify(read(copies(8))).length < MAX_CONFIG_JSON_BYTES);
    assert.equal(refused(copies(11)), 'config_too_large :');
  });
  it('keys that merges copy', () => {
    const text = (count: number): string =>
      `a: &a {${Array.from({ length: count }, (_, i) => `k${i}: 1`).join(', ')}}\nb:\n  <<: *a\n`;
    read(text(MAX_MERGED_KEYS - 1));
    assert.match(refused(text(MAX_MERGED_KEYS)), /^config_alias/);
  });
});
