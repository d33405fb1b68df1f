import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { IsolambdaError } from '../../src/errors/error.ts';
import { checker, jsonProblem, type RequestProblem } from '../../src/schemas/check.ts';
import {
  DeployParameters,
  LambdaParameters,
  LambdaPatch,
  Quota,
  scopeCovers,
  SCOPES,
  type Scope,
} from '../../src/schemas/index.ts';

function problemsOf(check: (value: unknown, where: string) => unknown, value: unknown): RequestProblem[] {
  try {
    check(value, 'body');
    return [];
  } catch (error) {
    assert.ok(error instanceof IsolambdaError);
    assert.equal(error.code, 'bad_request');
    return error.problems as RequestProblem[];
  }
}
const places = (problems: RequestProblem[]): string[] => problems.map(({ at }) => at).sort();

test('parameters with all keys pass, and come back as they were', () => {
  const parameters = {
    lambda_type: 'rpc',
    handler: 'module/path:handle',
    user_config: { any: ['thing'] },
    name: 'n',
    description: '',
    shared: false,
    routes_auth: 'account',
    debug_errors: true,
    amqp: { queue: 'q', durable: true, concurrency: 5 },
  };
  assert.equal(checker(LambdaParameters)(parameters, 'body'), parameters);
  for (const amqp of [true, false, null, {}])
    assert.deepEqual(problemsOf(checker(LambdaPatch), { amqp }), []);
});

test('each wrong parameter is told once, with its place and, where there are choices, these', () => {
  const problems = problemsOf(checker(LambdaParameters), {
    lambda_type: 'cron',
    handler: 'a b',
    user_config: [],
    name: '',
    shared: 1,
    colour: 'blue',
  });
  assert.deepEqual(places(problems), ['', '/handler', '/lambda_type', '/name', '/shared', '/user_config']);
  const said = (at: string) => problems.find((problem) => problem.at === at)?.message;
  assert.equal(said(''), 'unknown: "colour"');
  assert.equal(said('/lambda_type'), 'must be one of "standalone", "handlers", "tasks", "rpc"');
});

test('a wrong member of a choice is told without the noise of the choice itself', () => {
  const problems = problemsOf(checker(LambdaPatch), { amqp: { queue: '' } });
  assert.ok(problems.some(({ at }) => at === '/amqp/queue'));
  assert.ok(
    problems.every(({ message }) => !message.includes('anyOf') && !message.includes('schema is false')),
  );
});

test('limits are whole where they count things, and not below what makes sense', () => {
  const check = checker(DeployParameters);
  assert.deepEqual(problemsOf(check, { memory_mb: 8, rate_per_s: 0.5, instances: 64 }), []);
  assert.deepEqual(places(problemsOf(check, { memory_mb: 7 })), ['/memory_mb']);
  assert.deepEqual(places(problemsOf(check, { memory_mb: 8.5 })), ['/memory_mb']);
  assert.deepEqual(places(problemsOf(check, { instances: 65 })), ['/instances']);
  assert.deepEqual(places(problemsOf(check, { instances: 0 })), ['/instances']);
  // An account's limit is none that a lambda can set.
  assert.equal(problemsOf(check, { lambdas: 1 })[0]?.message, 'unknown: "lambdas"');
  assert.deepEqual(problemsOf(checker(Quota), { lambdas: 0, cpu_cores: 0.25 }), []);
});

test('names of environment variables are those that a shell knows', () => {
  const check = checker(DeployParameters);
  assert.deepEqual(problemsOf(check, { env: { PATH_2: '', _x: 'y' } }), []);
  for (const name of ['2X', 'A B', 'A-B', '', '__proto_\n'])
    assert.notDeepEqual(problemsOf(check, { env: { [name]: 'x' } }), [], JSON.stringify(name));
  assert.notDeepEqual(problemsOf(check, { env: { A: 1 } }), []);
  assert.notDeepEqual(problemsOf(check, { env: { A: 'x'.repeat(8_193) } }), []);
});

test('destinations of fetch have the form of one', () => {
  const check = checker(DeployParameters);
  const good = ['a.example', '*.example.com:443', '10.0.0.0/8', '10.0.0.0/8:8080', '[fd00::]/8', '*'];
  assert.deepEqual(problemsOf(check, { egress: good }), []);
  for (const rule of ['a b', 'http://a.example', 'a:b', 'a.example/path', ''])
    assert.notDeepEqual(problemsOf(check, { egress: [rule] }), [], rule);
});

test('of very many problems the first are told', () => {
  const wrong = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`K-${index}`, index]));
  const problems = problemsOf(checker(DeployParameters), { env: wrong });
  assert.ok(problems.length > 0 && problems.length <= 20);
});

test('a JSON value is measured without recursion, and may not carry a prototype', () => {
  const nested = (depth: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < depth; level++) value = [value];
    return value;
  };
  assert.equal(jsonProblem(nested(64), { maxDepth: 64 }), undefined);
  assert.match(jsonProblem(nested(65), { maxDepth: 64 }) ?? '', /deeper than 64/);
  assert.match(jsonProblem(nested(200_000), { maxDepth: 64 }) ?? '', /deeper/);
  assert.match(jsonProblem(JSON.parse('{"a":[{"__proto__":1}]}'), { maxDepth: 64 }) ?? '', /__proto__/);
});

test('a scope covers itself; admin covers all, deploy covers read', () => {
  const covered = (held: Scope): Scope[] => SCOPES.filter((needed) => scopeCovers([held], needed));
  assert.deepEqual(covered('admin'), ['admin', 'deploy', 'invoke', 'read']);
  assert.deepEqual(covered('deploy'), ['deploy', 'read']);
  assert.deepEqual(covered('invoke'), ['invoke']);
  assert.deepEqual(covered('read'), ['read']);
  assert.equal(scopeCovers([], 'read'), false);
});
