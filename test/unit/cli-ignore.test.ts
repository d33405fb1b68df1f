import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseIgnore } from '../../src/cli/folder/ignore.ts';
import { tempFolder } from '../cli-process.ts';

const FILES = [
  'a.log',
  'keep.log',
  'deep/a.log',
  'deep/keep.log',
  'build/out.js',
  'deep/build/out.js',
  'doc/a.txt',
  'doc/deep/a.txt',
  'doc.txt',
  'x1.ts',
  'xa.ts',
  'x/y/z/end.ts',
  'x/end.ts',
  'with space.txt',
  '!bang.txt',
  '#hash.txt',
  'brack[1].txt',
  'plus+dot.txt',
  'plusXdot.txt',
];

const RULE_SETS: Readonly<Record<string, string>> = {
  'names at any depth': '*.log\n',
  'taken back': '*.log\n!keep.log\n',
  'anchored at the root': '/build/\n/doc.txt\n',
  'folders only': 'build/\ndoc.txt/\n',
  'a slash within anchors': 'doc/*.txt\n',
  'two stars before, between, after': '**/deep/*.txt\nx/**/end.ts\nbuild/**\n',
  'one letter, sets, ranges': 'x?.ts\n',
  'a set': 'x[0-9].ts\n',
  'a negated set': 'x[!0-9].ts\n',
  'comments, empty lines, trailing spaces': '# *.ts\n\n*.log   \n',
  escapes: '\\!bang.txt\n\\#hash.txt\nbrack\\[1\\].txt\nplus+dot.txt\n',
  'the last rule decides': '!a.log\n*.log\n',
  'everything but': '/*\n!/x\n',
};

for (const [title, rules] of Object.entries(RULE_SETS))
  test(`.isolambdaignore decides as git does: ${title}`, (t) => {
    const folder = tempFolder(t, Object.fromEntries(FILES.map((path) => [path, ''])));
    writeFileSync(join(folder, '.gitignore'), rules);
    const git = (...args: string[]): string => execFileSync('git', args, { cwd: folder, encoding: 'utf8' });
    git('init', '--quiet');
    const wanted = git('-c', 'core.quotePath=false', 'ls-files', '-z', '--others', '--exclude-standard')
      .split('\0')
      .filter((path) => path !== '' && path !== '.gitignore')
      .sort();
    assert.deepEqual(FILES.filter((path) => !ignored(rules, path)).sort(), wanted);
  });

/** As the packer asks: folders from the root down, then the file. */
function ignored(rules: string, path: string): boolean {
  const parsed = parseIgnore(rules);
  const parts = path.split('/');
  return parts.some((_, at) => parsed.ignores(parts.slice(0, at + 1).join('/'), at < parts.length - 1));
}
