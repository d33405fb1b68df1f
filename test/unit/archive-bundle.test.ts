import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, describe, it } from 'node:test';
import vm from 'node:vm';
import { TraceMap, originalPositionFor } from '@jridgewell/trace-mapping';
import { stop } from 'esbuild';
import { mayComputeImports } from '../../src/archive/computed-imports.ts';
import { buildFiles } from '../../src/archive/pipeline.ts';
import { SDK_EXPORTS } from '../../src/archive/sdk-exports.ts';
import type { LambdaType } from '../../src/protocol/messages.ts';
import type { Bundle } from '../../src/archive/types.ts';
import type { Problem } from '../../src/errors/problem.ts';

after(() => stop());

type Files = Record<string, string | Uint8Array>;
const LIMITS = { archive_bytes: 2e7, unpacked_bytes: 1e8, archive_files: 5_000, bundle_bytes: 2e7 };
const MAIN = 'export async function main(request) { return 1; }\n';

const build = (
  files: Files,
  type: LambdaType = 'standalone',
  bundleBytes = LIMITS.bundle_bytes,
  handler?: string,
) =>
  buildFiles(new Map(Object.entries(files).map(([path, data]) => [path, Buffer.from(data)])), {
    type,
    handler,
    limits: { ...LIMITS, bundle_bytes: bundleBytes },
  });
async function good(files: Files, type?: LambdaType, handler?: string): Promise<Bundle> {
  const result = await build(files, type, undefined, handler);
  assert.ok(result.ok, JSON.stringify(result.problems, null, 1));
  return result.bundle;
}
async function bad(files: Files, type?: LambdaType): Promise<readonly Problem[]> {
  const result = await build(files, type);
  assert.equal(result.ok, false);
  return result.problems;
}
const shown = ({ rule, file, line, column }: Problem): string =>
  `${rule} ${file ?? ''}:${line ?? ''}:${column ?? ''}`;

/** Evaluates a bundle as the guest does, in a context with nothing in it but the language. */
function run(bundle: Bundle, tools: Record<string, unknown> = {}): Record<string, unknown> {
  class LambdaUserHandler {}
  class BaseLambdaTask {}
  const context = vm.createContext({});
  const start = vm.runInContext(Buffer.from(bundle.code).toString(), context, { filename: 'lambda.js' }) as (
    given: Record<string, unknown>,
  ) => Record<string, unknown>;
  return start({
    'lambda-tools': { LambdaUserHandler, ...tools },
    'lambda-tools/tasks': { BaseLambdaTask },
  });
}
async function answer(files: Files): Promise<unknown> {
  const { main } = run(await good(files)) as { main: (request: unknown) => unknown };
  // Through JSON: objects of another context have other prototypes.
  return JSON.parse(JSON.stringify(await main({})));
}

describe('the script', () => {
  it('is a function expression of the agreed form', async () => {
    const code = Buffer.from((await good({ 'lambda_main.ts': MAIN })).code).toString();
    assert.ok(code.startsWith('(function(__isolambda){\n"use strict";'));
    assert.ok(code.trimEnd().endsWith('})'));
  });
  it('gives the exports of lambda_main, whatever form they have', async () => {
    const exports = run(
      await good({
        'lambda_main.ts':
          '#!/usr/bin/env node\nexport * from "./a";\nexport const main = (r: unknown) => 1;\nexport class UserCtx {}',
        'a.ts': 'export const QUEUE_NAME = "q";',
      }),
    );
    assert.deepEqual(Object.keys(exports).sort(), ['QUEUE_NAME', 'UserCtx', 'main']);
  });
  it('keeps names of functions and classes', async () => {
    const { main, UserCtx } = run(
      await good({ 'lambda_main.ts': `${MAIN} export const UserCtx = class Other {};` }),
    ) as Record<string, { name: string }>;
    assert.deepEqual([main?.name, UserCtx?.name], ['main', 'Other']);
  });
  it('maps positions to the files of the archive', async () => {
    const bundle = await good({
      'lambda_main.ts':
        'import { fail } from "./path/fail";\n\nexport async function main(request: unknown) {\n  return fail();\n}\n',
      'path/fail.ts':
        '// ä\ninterface Unused { a: string }\n\nexport function fail(): never {\n  throw new Error("here");\n}\n',
    });
    const { main } = run(bundle) as { main: (request: unknown) => Promise<unknown> };
    const stack = await main({}).then(
      () => assert.fail('must throw'),
      (thrown: { stack: string }) => thrown.stack,
    );
    const frames = [...stack.matchAll(/lambda\.js:(\d+):(\d+)/g)].map(([, line, column]) => {
      const map = new TraceMap(Buffer.from(bundle.map).toString());
      const at = originalPositionFor(map, { line: Number(line), column: Number(column) - 1 });
      return `${at.source}:${at.line}:${(at.column ?? 0) + 1}`;
    });
    assert.deepEqual(frames, ['path/fail.ts:5:9', 'lambda_main.ts:4:10']);
    assert.ok(!Buffer.from(bundle.map).toString().includes('sourcesContent'));
  });
  it('gives the names of path parameters, which the bundler may have changed', async () => {
    const exports = run(
      await good({
        'lambda_main.ts': `import { LambdaUserHandler } from "lambda-tools"; import { one } from "./names";
          class H extends LambdaUserHandler { static route = "/a/<one>/<two>"; async post(two: string, one: string) {} async get({ one, two }) {} }
          export const ROUTES_TO_ADD = [H]; export const main = () => one;`,
        'names.ts': 'export const one = 1;',
      }),
    ) as { ROUTES_TO_ADD: { prototype: Record<string, Record<symbol, unknown>> }[] };
    const { post, get } = exports.ROUTES_TO_ADD[0]!.prototype;
    const names = Symbol.for('isolambda.parameters');
    assert.deepEqual(Array.from(post?.[names] as string[]), ['two', 'one']);
    assert.equal(get?.[names], undefined);
  });
  it('finds lambda-tools under all its names', async () => {
    const bundle = await good({
      'lambda_main.ts': `import { logger as a } from "lambda-tools"; import { logger as b } from "luna-lambda-tools"; import * as c from "luna_lambda_tools";
        import { BaseLambdaTask as d } from "lambda-tools/tasks"; import { BaseLambdaTask as e } from "luna_lambda_tools/public/tasks";
        export const main = () => [a, b, c.logger, d === e];`,
    });
    const { main } = run(bundle, { logger: 'L' }) as { main: () => unknown[] };
    assert.deepEqual(Array.from(main()), ['L', 'L', 'L', true]);
  });
  it('joins the exports of a handler in another module', async () => {
    const bundle = await good(
      {
        'lambda_main.ts': 'export const a = 1;',
        'jobs.ts': 'export const QUEUE_NAME = "jobs"; export const run = (e) => e;',
      },
      'rpc',
      'jobs:run',
    );
    assert.deepEqual([bundle.handler, bundle.queueName], ['run', 'jobs']);
    assert.deepEqual(Object.keys(run(bundle)).sort(), ['a', 'run']);
  });
  it('has the configuration beside it', async () => {
    const bundle = await good({ 'lambda_main.js': MAIN, 'lambda_config.yml': 'users:\n- name: admin' });
    assert.deepEqual(bundle.lambdaConfig, { users: [{ name: 'admin' }] });
  });
  it('bundle_bytes, on either side', async () => {
    const { code } = await good({ 'lambda_main.ts': MAIN });
    assert.ok((await build({ 'lambda_main.ts': MAIN }, 'standalone', code.length)).ok);
    const refused = await build({ 'lambda_main.ts': MAIN }, 'standalone', code.length - 1);
    assert.deepEqual(
      refused.problems.map(({ rule }) => rule),
      ['bundle_too_large'],
    );
  });
});

describe('resolution', () => {
  it("the seed's structure: modules with and without extension, relative and from the root", async () => {
    const main = `import { foo_from_file1 } from "file1"; import * as fileinpath1 from "path/fileinpath1.ts"; import { foo_from_fileinpath2 } from "./path/fileinpath2.js";
      import index from "./path"; import data from "./data.json"; import text from "./read.txt"; import bytes from "./b.bin" with { type: "bytes" };
      export const main = () => [foo_from_file1(), fileinpath1.variable(), foo_from_fileinpath2(), index, data.a, text, [...bytes]];`;
    assert.deepEqual(
      await answer({
        'lambda_main.ts': main,
        'file1.ts': 'export const foo_from_file1 = () => "1";',
        'path/fileinpath1.ts': 'import { v } from "./fileinpath2"; export const variable = () => v;',
        'path/fileinpath2.ts': 'export const v = 2; export const foo_from_fileinpath2 = () => "2";',
        'path/index.mjs': 'export default "index";',
        'data.json': '{"a": 3}',
        'read.txt': 'ä',
        'b.bin': new Uint8Array([255, 0]),
      }),
      ['1', 2, '2', 'index', 3, 'ä', [255, 0]],
    );
  });
  it('vendored packages: exports, conditions, main, module, browser, scopes, self-made imports', async () => {
    const files: Files = {
      'lambda_main.ts': `import a from "conditions"; import b from "conditions/sub/x"; import c from "mains"; import d from "@scope/browser"; import e from "#inner"; import f from "nested"; import { g } from "cjs";
        export const main = () => [a, b, c, d, e, f, g, (globalThis as any).guarded];`,
      'package.json': '{"imports": {"#inner": "./deep/inner.ts"}}',
      'deep/inner.ts': 'export default "inner";',
      'node_modules/conditions/package.json': JSON.stringify({
        exports: {
          '.': { node: './node.js', workerd: './workerd.js', default: './default.js' },
          './sub/*': { import: './sub/*.mjs', require: './sub/*.cjs' },
        },
      }),
      'node_modules/conditions/workerd.js': 'export default "workerd";',
      'node_modules/conditions/sub/x.mjs': 'export default "import";',
      'node_modules/mains/package.json': '{"main": "./main.js", "module": "./module.js"}',
      'node_modules/mains/module.js': 'export default "module";',
      'node_modules/@scope/browser/package.json':
        '{"main": "./main.js", "browser": {"./node.js": "./browser.js", "fs": false}}',
      'node_modules/@scope/browser/main.js': 'require("fs"); module.exports = require("./node");',
      'node_modules/@scope/browser/node.js': 'module.exports = require("crypto");',
      'node_modules/@scope/browser/browser.js':
        'try { require("crypto") } catch { globalThis.guarded = true } module.exports = "browser";',
      'node_modules/nested/index.js': 'module.exports = require("inner-one");',
      'node_modules/nested/node_modules/inner-one/index.js': 'module.exports = "nested";',
      'node_modules/cjs/index.js': 'exports.g = "cjs " + process.env.NODE_ENV + typeof global.JSON;',
    };
    assert.deepEqual(await answer(files), [
      'workerd',
      'import',
      'module',
      'browser',
      'inner',
      'nested',
      'cjs productionobject',
      true,
    ]);
  });
  it('a package never finds the files of the lambda by a bare name', async () => {
    const problems = await bad({
      'lambda_main.ts': `import "p";\n${MAIN}`,
      'node_modules/p/index.js': 'require("secret");',
      'secret.ts': '',
    });
    assert.deepEqual(problems.map(shown), ['package_missing node_modules/p/index.js:1:9']);
  });
  it('loads the real marked', async () => {
    const root = join(dirname(fileURLToPath(import.meta.url)), '../../node_modules/marked');
    const files: Files = {
      'lambda_main.ts':
        'import { marked } from "marked";\nexport const main = () => marked.parse("# Hi *you*");',
    };
    for (const name of ['package.json', ...readdirSync(join(root, 'lib')).map((item) => `lib/${item}`)])
      files[`node_modules/marked/${name}`] = readFileSync(join(root, name));
    assert.equal(await answer(files), '<h1>Hi <em>you</em></h1>\n');
  });
  it('dynamic imports of plain names', async () => {
    assert.deepEqual(
      await answer({
        'lambda_main.ts': 'export const main = async () => (await import("./a")).default;',
        'a.ts': 'export default 7;',
      }),
      7,
    );
  });
});

describe('what is wrong, with its place', () => {
  const cases: Record<string, [files: Files, expected: string[]]> = {
    'a Node built-in': [
      {
        'lambda_main.ts': `import { readFileSync } from "fs";\nimport { x } from "node:crypto";\nconsole.log(readFileSync, x);\n${MAIN}`,
      },
      ['node_builtin lambda_main.ts:1:30', 'node_builtin lambda_main.ts:2:19'],
    ],
    'a Node built-in in a package': [
      { 'lambda_main.ts': `import "p";\n${MAIN}`, 'node_modules/p/index.js': '\n  require("net");' },
      ['node_builtin node_modules/p/index.js:2:11'],
    ],
    'a missing file and package': [
      { 'lambda_main.ts': `import "./gone";\nimport "left-pad";\n${MAIN}` },
      ['import_missing lambda_main.ts:1:8', 'package_missing lambda_main.ts:2:8'],
    ],
    'a syntax error, once': [{ 'lambda_main.ts': `${MAIN}let a = ;` }, ['syntax lambda_main.ts:2:9']],
    'a syntax error in a package': [
      { 'lambda_main.ts': `import "p";\n${MAIN}`, 'node_modules/p/index.js': 'let é = "é"; let b = ;' },
      ['syntax node_modules/p/index.js:1:22'],
    ],
    'await outside of a function': [
      { 'lambda_main.ts': `const a = await 1;\n${MAIN}` },
      ['top_level_await lambda_main.ts:1:11'],
    ],
    'a name that is not exported': [
      {
        'lambda_main.js': `import { b } from "./a";\nconsole.log(b);\n${MAIN}`,
        'a.js': 'export const a = 1;',
      },
      ['export_missing lambda_main.js:1:10'],
    ],
    'a file of an unknown type': [
      { 'lambda_main.ts': `import "./a.bin";\n${MAIN}`, 'a.bin': 'x' },
      ['import_type a.bin::'],
    ],
    'code that strict mode forbids': [
      {
        'lambda_main.ts': `import "p";\n${MAIN}`,
        'node_modules/p/index.js': 'with (Math) { exports.a = floor(1.5); }',
      },
      ['strict_mode ::'],
    ],
    'tests imported by the lambda': [
      { 'lambda_main.ts': `import { invoke } from "lambda-tools/testing";\ninvoke();\n${MAIN}` },
      ['testing_import lambda_main.ts:1:24'],
    ],
    'an unknown part of lambda-tools': [
      { 'lambda_main.ts': `import "lambda-tools/private";\n${MAIN}` },
      ['sdk_module lambda_main.ts:1:8'],
    ],
    'several kinds at once': [
      {
        'lambda_main.ts':
          'import "./gone";\nexport const main = (a, b) => 1;\nexport const ROUTES_TO_ADD = make();',
        'lambda_config.yml': 'a: 1\na: 2',
      },
      [
        'config_duplicate_key lambda_config.yml:2:1',
        'import_missing lambda_main.ts:1:8',
        'main_parameters lambda_main.ts:2:21',
        'routes_not_literal lambda_main.ts:3:30',
      ],
    ],
  };
  for (const [name, [files, expected]] of Object.entries(cases))
    it(name, async () => assert.deepEqual((await bad(files)).map(shown), expected));
  it('import.meta is a warning', async () => {
    const result = await build({ 'lambda_main.ts': `export const main = () => import.meta.url;` });
    assert.ok(result.ok);
    assert.deepEqual(result.problems.map(shown), ['import_meta lambda_main.ts:1:27']);
  });
});

describe('the disk of the machine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isolambda-test-'));
  after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'data'));
  const secret = join(folder, 'data', 'secret.js');
  writeFileSync(secret, 'export default "HOST FILE";');
  const up = '../'.repeat(12);
  const reads: Record<string, string> = {
    'an absolute path': `import x from "${secret}"; console.log(x);`,
    'a relative path': `import x from "./${up}${secret.slice(1)}"; console.log(x);`,
    'a file URL': `import x from "file://${secret}"; console.log(x);`,
    'a data URL': 'import x from "data:text/javascript,export default 1"; console.log(x);',
    'an http URL': 'import x from "http://127.0.0.1:1/x.js"; console.log(x);',
    'a Windows path': 'import x from "C:\\\\windows\\\\x"; console.log(x);',
    'a dynamic import': `const x = () => import("${secret}"); x();`,
    'a template': `const x = (n) => import(\`./${up}${folder.slice(1)}/data/\${n}.js\`); x();`,
    'a template from the root of the archive': 'const x = (n) => import(`./${n}.js`); x();',
    'a sum': `const x = (n) => require("./${up}${folder.slice(1)}/data/" + n); x();`,
    'a template behind comments': `const x = (n) => require /* ( */ ( // (\n \`./${up}${folder.slice(1)}/data/\${n}.js\`); x();`,
    'a template behind an escape': `const x = (n) => r\\u0065quire(\`./${up}${folder.slice(1)}/data/\${n}.js\`); x();`,
    'a CSS import': `import x from "./a.css"; console.log(x);`,
    'a require.resolve': `const x = require.resolve("${secret}"); console.log(x);`,
    'a new URL': `const x = new URL("${secret}", import.meta.url); console.log(x);`,
  };
  for (const [name, source] of Object.entries(reads)) {
    it(`is not read by ${name}, of the lambda or of a package`, async () => {
      const own = await build({ 'lambda_main.js': `${source}\n${MAIN}`, 'a.css': `@import "${secret}";` });
      const vendored = await build({
        'lambda_main.js': `import "p";\n${MAIN}`,
        'node_modules/p/index.mjs': source,
        'node_modules/p/package.json': '{"main":"index.mjs"}',
        'node_modules/p/a.css': `@import "${secret}";`,
      });
      for (const result of [own, vendored]) {
        assert.doesNotMatch(JSON.stringify(result.problems), /HOST FILE/);
        if (result.ok) assert.doesNotMatch(Buffer.from(result.bundle.code).toString(), /HOST FILE/);
        // What esbuild says when it went to look.
        assert.doesNotMatch(
          JSON.stringify(result.problems),
          /did not match any files|Could not resolve (import|require)\(|Cannot read directory/,
        );
      }
    });
  }
  it('is not read for a tsconfig, a package.json or plugins', async () => {
    const files = {
      'lambda_main.ts': MAIN,
      'tsconfig.json': `{"extends": "${secret}", "compilerOptions": {"plugins": [{"transform": "${secret}"}], "paths": {"*": ["${folder}/*"]}}}`,
      'package.json': `{"main": "${secret}", "browser": "${secret}", "imports": {"#a": "${secret}"}, "esbuild": {"plugins": ["${secret}"]}}`,
    };
    await good(files);
    const problems = await bad({
      ...files,
      'lambda_main.ts': `import x from "#a"; console.log(x);\n${MAIN}`,
    });
    assert.deepEqual(
      problems.map(({ rule }) => rule),
      ['package_missing'],
    );
  });
  it('computed imports are found however they are spelt', () => {
    for (const plain of [
      'import("a")',
      "require('a')",
      'require("a", x)',
      'import(/* why */ `a`)',
      'const imports = (a)',
      'x',
    ])
      assert.equal(mayComputeImports(plain), false, plain);
    for (const computed of [
      'import(a)',
      'require("a" + b)',
      'import(`a${b}`)',
      'require /**/ (a)',
      'r\\u0065quire(a)',
      'r\\u{65}quire(a)',
      'import("\\x2e/" + a)',
      'require?.(a)',
      'require.resolve(a)',
    ])
      assert.equal(mayComputeImports(computed), true, computed);
  });
});

it('knows just the names that lambda-tools exports', async () => {
  const sdk = join(dirname(fileURLToPath(import.meta.url)), '../../sandbox/sdk');
  for (const [part, file] of [
    ['lambda-tools', 'index.ts'],
    ['lambda-tools/tasks', 'tasks.ts'],
  ] as const) {
    const source = readFileSync(join(sdk, file), 'utf8');
    const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = '']) =>
      list.split(','),
    );
    const declared = [
      ...source.matchAll(/^export (?:abstract )?(?:class|const|function|interface|type) (\w+)/gm),
    ].map(([, name = '']) => name);
    const names = [
      ...lists.map((item) =>
        item
          .trim()
          .replace(/^type /, '')
          .replace(/^.* as /, ''),
      ),
      ...declared,
    ].filter(Boolean);
    assert.deepEqual([...SDK_EXPORTS[part]].sort(), [...new Set(names)].sort(), part);
  }
});
