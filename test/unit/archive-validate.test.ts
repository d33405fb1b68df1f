import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { validate } from '../../src/archive/validate/validate.ts';
import type { Problem } from '../../src/errors/problem.ts';
import type { LambdaType } from '../../src/protocol/messages.ts';

type Files = Record<string, string>;
const MAIN = 'export async function main(request) { return 1; }\n';
const TOOLS = 'import { LambdaUserHandler } from "lambda-tools";\n';

function check(given: string | Files, type: LambdaType = 'standalone', handler?: string) {
  const files = typeof given === 'string' ? { 'lambda_main.ts': given } : given;
  return validate(
    new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)])),
    type,
    handler,
  );
}
const shown = ({ severity, rule, file, line, column }: Problem): string =>
  `${severity} ${rule} ${file ?? ''}:${line ?? ''}:${column ?? ''}`;
const rules = (problems: readonly Problem[]): string[] => problems.map(({ rule }) => rule);

/** Each good source passes without a word; each bad one gives just this rule. */
function either(
  rule: string,
  cases: { good?: (string | Files)[]; bad: (string | Files)[]; type?: LambdaType; handler?: string },
): void {
  describe(rule, () => {
    for (const given of cases.good ?? [])
      it(`passes ${show(given)}`, () => {
        assert.deepEqual(check(given, cases.type, cases.handler).problems, []);
      });
    for (const given of cases.bad)
      it(`refuses ${show(given)}`, () => {
        const { problems } = check(given, cases.type, cases.handler);
        assert.deepEqual(rules(problems), [rule], JSON.stringify(problems));
        assert.ok(problems.every(({ message, mend }) => message.length > 0 && mend.length > 0));
      });
  });
}
const show = (given: string | Files): string =>
  (typeof given === 'string' ? given : JSON.stringify(given))
    .replace(TOOLS, '')
    .replace(MAIN, '')
    .trim()
    .slice(0, 110);

const handler = (body: string, more = ''): string =>
  `${TOOLS}${more}class H extends LambdaUserHandler { ${body} }\nexport const ROUTES_TO_ADD = [H];\n${MAIN}`;

describe('rule 1: lambda_main and its export', () => {
  either('main_missing', {
    good: [MAIN, { 'lambda_main.js': MAIN }, { 'lambda_main.mjs': MAIN }],
    bad: [
      { 'main.ts': MAIN },
      { 'src/lambda_main.ts': MAIN },
      { 'lambda_main.tsx': MAIN },
      { 'Lambda_Main.ts': MAIN },
    ],
  });
  either('main_twice', { bad: [{ 'lambda_main.ts': MAIN, 'lambda_main.js': MAIN }] });
  either('main_missing_export', {
    good: [
      'export const main = async (request) => 1;',
      'export const main = function (request) { return 1; };',
      'async function main(request: unknown) {}\nexport { main };',
      'const run = (request) => 1;\nexport { run as main };',
      'export const main = withCache(async (request) => 1);',
      { 'lambda_main.ts': 'export { main } from "./run";', 'run.ts': MAIN },
      { 'lambda_main.ts': 'export * from "run";', 'run.ts': MAIN },
      {
        'lambda_main.ts': 'import run from "./run.js";\nexport { run as main };',
        'run.ts': 'export default (request) => 1;',
      },
      { 'lambda_main.ts': 'export { main } from "package";' },
      'export function main(a: string): void;\nexport function main(a: number): void;\nexport function main(a: unknown) {}',
    ],
    bad: [
      'async function main(request) {}',
      'export default async function main(request) {}',
      'export async function Main(request) {}',
      'module.exports = { main(request) {} };',
      { 'lambda_main.ts': 'export { main } from "./run";', 'run.ts': 'export const mian = 1;' },
    ],
  });
  either('main_kind', {
    bad: ['export const main = 1;', 'export class main {}', 'export function* main(request) {}'],
  });
  either('main_parameters', {
    good: [
      'export const main = () => 1;',
      'export const main = (...all) => 1;',
      'export const main = (request, more = 1) => 1;',
      'export function main(this: void, request) {}',
      'export const main = ({ json }) => json;',
    ],
    bad: ['export const main = (request, context) => 1;', 'export async function main(a, b, ...c) {}'],
  });
  either('main_parameters', {
    type: 'rpc',
    good: [
      'export function lambda_handler(event, context) {}',
      'export const lambda_handler = async (event) => event;',
    ],
    bad: ['export function lambda_handler(event, context, more) {}'],
  });
  either('handler_name', {
    type: 'rpc',
    handler: 'jobs:run-it',
    bad: [{ 'lambda_main.ts': '', 'jobs.ts': 'export const run = () => 1;' }],
  });

  it('finds a handler that is named with its module', () => {
    const files = { 'lambda_main.ts': '', 'path/jobs.ts': 'export const run = (event, context) => event;' };
    for (const name of ['path/jobs:run', 'path.jobs:run', 'path/jobs.ts:run']) {
      const result = check(files, 'rpc', name);
      assert.deepEqual(result.problems, []);
      assert.deepEqual(result.also, { path: 'path/jobs.ts', name: 'run' });
      assert.equal(result.handler, 'run');
    }
    assert.deepEqual(rules(check(files, 'rpc', 'none:run').problems), ['handler_name']);
    assert.equal(check('export const go = (event) => event;', 'rpc', 'lambda_main:go').also, undefined);
  });
});

describe('tasks lambdas', () => {
  const task = (body: string): string =>
    `import { BaseLambdaTask } from "lambda-tools/tasks";\nexport class LambdaTask extends BaseLambdaTask { ${body} }`;
  either('task_method', {
    type: 'tasks',
    good: [
      task(
        'async splitTasksContent(content) { return []; } async executeSubtask(subtaskContent) { return {}; }',
      ),
      task('splitTasksContent = async (content) => []; async executeSubtask() { return {}; }'),
      {
        'lambda_main.ts':
          'import { Base } from "./base";\nexport class LambdaTask extends Base { async executeSubtask(s) { return {}; } }',
        'base.ts':
          'import * as tasks from "luna_lambda_tools/public/tasks";\nexport class Base extends tasks.BaseLambdaTask { async splitTasksContent(c) { return []; } }',
      },
    ],
    bad: [
      task('async splitTasksContent(content) { return []; }'),
      task('async splitTasksContent(content) { return []; } static async executeSubtask(s) {}'),
      task('async splitTasksContent(content) { return []; } get executeSubtask() { return 1; }'),
    ],
  });
  either('main_parameters', {
    type: 'tasks',
    bad: [task('async splitTasksContent(a, b) { return []; } async executeSubtask(s) {}')],
  });
  either('task_base', {
    type: 'tasks',
    bad: ['export class LambdaTask { async splitTasksContent(content) {} async executeSubtask(s) {} }'],
  });
  either('main_kind', { type: 'tasks', bad: ['export const LambdaTask = () => 1;'] });
});

describe('rule 2: ROUTES_TO_ADD', () => {
  const H = 'class H extends LambdaUserHandler { static route = "/h"; async get() {} }\n';
  const G = 'class G extends LambdaUserHandler { static route = "/g"; async get() {} }\n';
  either('routes_not_literal', {
    good: [
      `${TOOLS}${H}${G}export const ROUTES_TO_ADD = [H, G];\n${MAIN}`,
      `${TOOLS}${H}const ROUTES_TO_ADD: unknown[] = [H] as const;\nexport { ROUTES_TO_ADD };\n${MAIN}`,
      `export const ROUTES_TO_ADD = [];\n${MAIN}`,
    ],
    bad: [
      `export const ROUTES_TO_ADD = make();\n${MAIN}`,
      `const list = make();\nexport const ROUTES_TO_ADD = list;\n${MAIN}`,
      `const list = [];\nexport const ROUTES_TO_ADD = [...list];\n${MAIN}`,
      `export const ROUTES_TO_ADD = [make()];\n${MAIN}`,
      `export const ROUTES_TO_ADD = [,];\n${MAIN}`,
      `export const ROUTES_TO_ADD = [class {}];\n${MAIN}`,
      {
        'lambda_main.ts': `export { ROUTES_TO_ADD } from "./routes";\n${MAIN}`,
        'routes.ts': 'export const ROUTES_TO_ADD = [];',
      },
      {
        'lambda_main.ts': `export * from "./routes";\n${MAIN}`,
        'routes.ts': 'export const ROUTES_TO_ADD = [];',
      },
    ],
  });
  either('routes_not_exported', { bad: [`const ROUTES_TO_ADD = [];\n${MAIN}`] });
  either('routes_twice', { bad: [`${TOOLS}${H}export const ROUTES_TO_ADD = [H, H];\n${MAIN}`] });
  either('routes_in_rpc', {
    type: 'rpc',
    bad: ['export const lambda_handler = () => 1;\nexport const ROUTES_TO_ADD = [];'],
  });
  it('warns of a handler that stands in no list', () => {
    const { problems } = check(`${TOOLS}${H}${G}export const ROUTES_TO_ADD = [H];\n${MAIN}`);
    assert.deepEqual(problems.map(shown), ['warning handler_not_listed lambda_main.ts:3:1']);
  });
});

describe('rule 3: handler classes', () => {
  const body = '{ static route = "/h"; async get() {} }';
  const list = `export const ROUTES_TO_ADD = [H];\n${MAIN}`;
  either('handler_base', {
    good: [
      `import * as tools from "luna-lambda-tools";\nclass H extends tools.LambdaUserHandler ${body}\n${list}`,
      `import { LambdaUserHandler as Base } from "luna_lambda_tools";\nexport class H extends Base ${body}\n${list}`,
      `${TOOLS}const H = class extends LambdaUserHandler ${body};\n${list}`,
      `${TOOLS}class B extends LambdaUserHandler { help() {} }\nclass H extends B ${body}\n${list}`,
      {
        'lambda_main.ts': `import { Base } from "./base";\nclass H extends Base ${body}\n${list}`,
        'base.ts': 'export { default as Base } from "./deep/base";',
        'deep/base.ts': `${TOOLS}export default class extends LambdaUserHandler { help() {} }`,
      },
    ],
    bad: [
      `class H ${body}\n${list}`,
      `class LambdaUserHandler {}\nclass H extends LambdaUserHandler ${body}\n${list}`,
      `${TOOLS}class H extends mixin(LambdaUserHandler) ${body}\n${list}`,
      `import { UserException } from "lambda-tools";\nclass H extends UserException ${body}\n${list}`,
      `class A extends B {}\nclass B extends A {}\nclass H extends A ${body}\n${list}`,
    ],
  });
  either('handler_elsewhere', {
    bad: [
      {
        'lambda_main.ts': `import { H } from "./h";\n${list}`,
        'h.ts': `${TOOLS}export class H extends LambdaUserHandler ${body}`,
      },
    ],
  });
  either('handler_missing', { bad: [list] });
  either('handler_not_class', { bad: [`const H = 1;\n${list}`] });
});

describe('rule 4: route', () => {
  either('route_not_constant', {
    good: [
      handler('static route = "/a"; async get() {}'),
      handler('static readonly route: string = "/a"; async get() {}'),
      handler('route = "/a"; async get() {}'),
      handler('static route = `/a/<id:${ID}>`; async get(id) {}', 'const ID = "[0-9]+";\n'),
      handler(
        'static route = `/v${V}/${`x${NAME}`}`; async get() {}',
        'const V = 2;\nconst NAME = `n${V}`;\n',
      ),
      handler('static route = String.raw`/a/<id:\\d+>`; async get(id) {}'),
      {
        'lambda_main.ts': handler(
          'static route = `/${PREFIX}/a`; async get() {}',
          'import { PREFIX } from "./names";\n',
        ),
        'names.ts': 'export const PREFIX = "api" + "/v1";',
      },
    ],
    bad: [
      handler('static route = make(); async get() {}'),
      handler('static route = ROUTE; async get() {}', 'const ROUTE = "/a";\n'),
      handler('static route = "/a" + "/b"; async get() {}'),
      handler('static route = `/a/${make()}`; async get() {}'),
      handler('static route = `/a/${name}`; async get() {}', 'let name = "b";\n'),
      handler('static get route() { return "/a"; } async get() {}'),
      handler('static route; async get() {}'),
      handler('static route = 1; async get() {}'),
      handler('static route = tag`/a`; async get() {}'),
    ],
  });
  either('route_missing', { bad: [handler('async get() {}')] });
  either('route_format', {
    good: [
      handler(`static route = "/${'a'.repeat(1_023)}"; async get() {}`),
      handler('static route = "/a/"; async get() {}'),
    ],
    bad: [
      handler('static route = "a"; async get() {}'),
      handler('static route = ""; async get() {}'),
      handler('static route = "/a/<id"; async get() {}'),
      handler('static route = "/a<id>"; async get() {}'),
      handler('static route = "/a/<id>/<id>"; async get(id) {}'),
      handler('static route = "/a/<id:[>"; async get(id) {}'),
      handler('static route = "/<a:(?P<v>x)>/<b:(?P<v>x)>"; async get(a, b) {}'),
      handler('static route = "/<a:(?P<isolambda_0>x)>"; async get(a) {}'),
      handler('static route = "/a/<id:>"; async get(id) {}'),
      handler('static route = "/a b"; async get() {}'),
      handler('static route = "/a?b"; async get() {}'),
      handler(`static route = "/${'a'.repeat(1_024)}"; async get() {}`),
    ],
  });
  it('bounds constants that double', () => {
    const doubling = Array.from({ length: 19 }, (_, i) => `const c${i + 1} = \`\${c${i}}\${c${i}}\`;`).join(
      '\n',
    );
    const { problems } = check(
      handler('static route = `/${c19}`; async get() {}', `const c0 = "aaaaaaaaaa";\n${doubling}\n`),
    );
    assert.deepEqual(rules(problems), ['route_not_constant']);
  });
});

describe('rule 5: methods', () => {
  either('handler_no_method', { bad: [handler('static route = "/a"; async fetch() {}')] });
  either('handler_not_async', {
    good: ['get', 'post', 'put', 'patch', 'head', 'options', 'delete'].map((verb) =>
      handler(`static route = "/a"; async ${verb}() {}`),
    ),
    bad: [handler('static route = "/a"; get() {}'), handler('static route = "/a"; get() {} async post() {}')],
  });
  either('handler_method', {
    bad: [
      handler('static route = "/a"; get = async () => {};'),
      handler('static route = "/a"; static async get() {}'),
      handler('static route = "/a"; async *get() {}'),
      handler('static route = "/a"; get get() { return 1; }'),
    ],
  });
  either('handler_in_parent', {
    good: [
      handler('static route = "/a"; async get() { return this.help(); }', '')
        .replace('class H', 'class B extends LambdaUserHandler { help() {} }\nclass H')
        .replace('H extends LambdaUserHandler', 'H extends B'),
    ],
    bad: ['async get() {}', 'static route = "/b";', 'post() {}'].map(
      (member) =>
        `${TOOLS}class B extends LambdaUserHandler { ${member} }\nclass H extends B { static route = "/a"; async put() {} }\nexport const ROUTES_TO_ADD = [H];\n${MAIN}`,
    ),
  });
});

describe('rule 6: parameters', () => {
  const route = 'static route = "/a/<one>/<two:int>";';
  either('route_parameters', {
    good: [
      handler(`${route} async get(one, two) {}`),
      handler(`${route} async get(two: number, one: string) {}`),
      handler(`${route} async get({ one, two }) {}`),
      handler(`${route} async get({ two: second, one = "x" }: { one: string; two: number }) {}`),
      handler(`${route} async get({ one, ...rest }) {}`),
      handler(`${route} async get(one, two = 1) {}`),
      handler('static route = "/a"; async get() {}'),
      handler('static route = String.raw`/a/<p:[^/]+/[a-z]{2,3}>/<q:(?P<q>x)>`; async get(p, q) {}'),
    ],
    bad: [
      handler(`${route} async get(one) {}`),
      handler(`${route} async get() {}`),
      handler(`${route} async get(one, two, three) {}`),
      handler(`${route} async get(one, tow) {}`),
      handler(`${route} async get(...all) {}`),
      handler(`${route} async get([one], two) {}`),
      handler(`${route} async get({ one }) {}`),
      handler(`${route} async get({ one, two }, three) {}`),
      handler('static route = "/a"; async get(request) {}'),
    ],
  });
  it('says for each method what is missing and what is too much', () => {
    const { problems } = check(handler(`${route} async get(one) {}\nasync post(one, two, more) {}`));
    assert.deepEqual(problems.map(shown), [
      'error route_parameters lambda_main.ts:2:74',
      'error route_parameters lambda_main.ts:3:1',
    ]);
    assert.match(problems[0]!.message, /get of H does not take two/);
    assert.match(problems[1]!.message, /post of H takes more, which its route does not have/);
  });
  it('gives the names in order, for parameters that are taken one by one', () => {
    const { routeParameters } = check(handler(`${route} async get(two, one) {} async post({ one, two }) {}`));
    assert.deepEqual(routeParameters, [{ get: ['two', 'one'] }]);
  });
});

describe('rule 7: conflicts', () => {
  const two = (first: string, second: string, one = '', other = one): string =>
    `${TOOLS}class A extends LambdaUserHandler { static route = "${first}"; async get(${one}) {} }\n` +
    `class B extends LambdaUserHandler { static route = "${second}"; async get(${other}) {} }\n` +
    `export const ROUTES_TO_ADD = [A, B];\n${MAIN}`;
  const beside = (route: string, file = 'static/a.html'): Files => ({
    'lambda_main.ts': handler(`static route = "${route}"; async get() {}`),
    [file]: '',
  });
  either('route_static', {
    good: [
      handler('static route = "/static/a.html"; async get() {}'),
      beside('/static'),
      beside('/a.html'),
      beside('/static/a.html', 'statics/a.html'),
    ],
    bad: [
      beside('/static/a.html'),
      beside('/static/other'),
      {
        'lambda_main.ts': handler('static route = "/<folder>/a.html"; async get(folder) {}'),
        'static/a.html': '',
      },
    ],
  });
  either('route_default', {
    good: [
      handler('static route = "/main2"; async get() {}'),
      handler('static route = "/docs"; async get() {}'),
      handler('static route = "/<id:int>"; async get(id) {}'),
      handler('static route = "/x/<rest:path>"; async get(rest) {}'),
      handler('static route = "/<name:[a-c]+>"; async get(name) {}'),
    ],
    bad: ['/main', '/main/', '/healthcheck', '/config', '/docs/spec']
      .map((route) => handler(`static route = "${route}"; async get() {}`))
      .concat(
        ['/<a>', '/<a:str>', '/<a:path>', '/<a:.*>', '/<a:(ma|con)(in|fig)>', '/docs/<a>'].map((route) =>
          handler(`static route = "${route}"; async get(a) {}`),
        ),
      ),
  });
  either('route_twice', {
    good: [two('/a', '/b'), two('/a/<x>', '/a/<x:int>', 'x'), two('/a/<x>', '/b/<x>', 'x')],
    bad: [two('/a', '/a'), two('/a', '/a/'), two('/a/<x>', '/a/<y>', 'x', 'y')],
  });
  it('warns where a pattern also matches a plain route', () => {
    assert.deepEqual(check(two('/a/<x>', '/a/new', 'x', '')).problems.map(shown), [
      'warning route_overlap lambda_main.ts:2:52',
    ]);
  });
});

describe('rule 8: lambda-tools', () => {
  either('sdk_name', {
    good: [
      `import { logger, StandaloneLambdaRequest, lambdaConfig, UserException } from "lambda-tools";\n${MAIN}`,
      `import { BaseLambdaTask } from "luna_lambda_tools/public/tasks";\n${MAIN}`,
      `import type { Whatever } from "lambda-tools";\n${MAIN}`,
      `import tools, * as all from "lambda-tools";\n${MAIN}`,
      `import { loger } from "lambda-toolbox";\n${MAIN}`,
    ],
    bad: [
      `import { loger } from "lambda-tools";\n${MAIN}`,
      `export { nothing } from "lambda-tools/tasks";\n${MAIN}`,
      {
        'lambda_main.ts': `import "./deep/a";\n${MAIN}`,
        'deep/a.ts': 'import { loger } from "luna-lambda-tools";',
      },
    ],
  });
  it('proposes the nearest names', () => {
    const [problem] = check(`import { loger } from "lambda-tools";\n${MAIN}`).problems;
    assert.deepEqual([problem?.line, problem?.column], [1, 10]);
    assert.match(problem?.mend ?? '', /logger/);
  });
});

describe('all at once', () => {
  it('tells the syntax errors that a parser can go on after, and the rules broken besides', () => {
    const { problems } = check({
      'lambda_main.ts': `const a = 1;\nconst a = 2;\nimport "./b";\nexport const main = 5;`,
      'b.ts': 'let x = ;',
    });
    assert.deepEqual(problems.map(shown).sort(), [
      'error main_kind lambda_main.ts:4:21',
      'error syntax b.ts:1:9',
      'error syntax lambda_main.ts:2:7',
    ]);
  });
  either('computed_import', {
    good: [`const load = () => import("./a");\n${MAIN}`, `const load = () => require("a");\n${MAIN}`],
    bad: [
      `const load = (x) => import("./" + x);\n${MAIN}`,
      `const load = (x) => require(x);\n${MAIN}`,
      `const load = (x) => import(\`./\${x}.js\`);\n${MAIN}`,
    ],
  });
  either('user_ctx', {
    good: [`export class UserCtx { onStart() {} }\n${MAIN}`],
    bad: [`export const UserCtx = 1;\n${MAIN}`],
  });
  either('user_ctx_not_exported', { bad: [`class UserCtx { onStart() {} }\n${MAIN}`] });
  either('queue_name', {
    good: [
      `export const QUEUE_NAME = "${'q'.repeat(255)}";\n${MAIN}`,
      `export const QUEUE_NAME = make();\n${MAIN}`,
    ],
    bad: [
      `export const QUEUE_NAME = "${'q'.repeat(256)}";\n${MAIN}`,
      `export const QUEUE_NAME = "";\n${MAIN}`,
      `export const QUEUE_NAME = 5;\n${MAIN}`,
    ],
  });
  it('reads a literal QUEUE_NAME', () => {
    assert.equal(check(`export const QUEUE_NAME = "echo";\n${MAIN}`).queueName, 'echo');
    assert.equal(
      check('const q = `echo`;\nexport { q as QUEUE_NAME };\nexport const lambda_handler = (e) => e;', 'rpc')
        .queueName,
      'echo',
    );
  });
});

describe('hostile sources', () => {
  either('source_too_deep', {
    good: [`const a = ${'['.repeat(400)}${']'.repeat(400)};\n${MAIN}`],
    bad: [
      `const a = ${'['.repeat(501)}${']'.repeat(501)};\n${MAIN}`,
      `const a = ${'('.repeat(200_000)}`,
      `${'{'.repeat(100_000)}`,
      `const a = ${'!'.repeat(100_000)}1;\n${MAIN}`,
      `const a = ${'1 ? 2 : '.repeat(50_000)}3;\n${MAIN}`,
      `${'if (a) '.repeat(50_000)};\n${MAIN}`,
    ],
  });
  it('goes through long but flat code', () => {
    const { problems } = check(
      `const a = ${Array.from({ length: 1_000 }, (_, i) => i).join(' + ')};\n${MAIN}`,
    );
    assert.deepEqual(problems, []);
  });
  either('source_too_large', { bad: [`${' '.repeat(5 * 1024 * 1024)}${MAIN}`] });
  it('refuses what is no UTF-8', () => {
    const files = new Map([['lambda_main.ts', Buffer.from([0x22, 0xff, 0x22])]]);
    assert.deepEqual(rules(validate(files, 'standalone').problems), ['source_encoding']);
  });
  it('does not follow names for ever', () => {
    const { problems } = check({
      'lambda_main.ts': 'export { main } from "./a";',
      'a.ts': 'export { main } from "./lambda_main";',
    });
    assert.deepEqual(rules(problems), ['main_missing_export']);
    const circles = check('const a = b, b = a;\nexport { a as main };');
    assert.deepEqual(rules(circles.problems), ['main_missing_export']);
  });
  it('takes names of Object.prototype for names', () => {
    const files = {
      'lambda_main.ts': `import { constructor, __proto__, toString } from "lambda-tools";\n${MAIN}`,
    };
    assert.deepEqual(rules(check(files).problems), ['sdk_name', 'sdk_name', 'sdk_name']);
  });
});
