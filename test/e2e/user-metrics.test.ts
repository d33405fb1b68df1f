/** `GET /1/lambdas/{id}/metrics`: what a lambda counts itself, and what is counted of its requests. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LambdaApiError } from '../../src/client/errors.ts';
import { callMain, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';

const OWN = `
import { Counter, Gauge, Histogram, Summary, LambdaUserHandler, UserException } from 'lambda-tools';
const calls = new Counter({ name: 'calls', help: 'Calls by caller.', labelNames: ['who'] });
const level = new Gauge({ name: 'level', help: 'How full.' });
const sizes = new Histogram({ name: 'sizes', help: 'Of bodies.', buckets: [1, 10] });
const times = new Summary({ name: 'times', help: 'Of work.', percentiles: [0.5] });
export const USER_METRICS = [calls, level, sizes, times];
class Item extends LambdaUserHandler {
  static route = '/items/<id:int>';
  async get(id) { return { id }; }
}
class Metrics extends LambdaUserHandler {
  static route = '/metrics';
  async get() { return 'of the lambda'; }
}
export const ROUTES_TO_ADD = [Item, Metrics];
export async function main(request) {
  const { who, fails } = request.json ?? {};
  if (fails === 'expected') throw class extends UserException { static statusCode = 418; };
  if (fails) throw new Error('fails');
  calls.inc({ who });
  level.set(5);
  sizes.observe(3);
  times.observe(0.25);
}
`;

let host: TestHost;
let tenant: TestAccount;
before(async () => {
  host = await startTestHost();
  tenant = await host.account();
});
after(() => host?.stop());

const page = async (lambdaId: string): Promise<string> =>
  (await tenant.api.getLambdaMetrics({ lambdaId })).text;
const get = (lambdaId: string, path: string): Promise<Response> =>
  fetch(`${host.origin}/1/lambdas/${lambdaId}/proxy/${path}`, {
    headers: { authorization: `Bearer ${tenant.token}` },
  });

/** Each line of Prometheus' text format is one of these; what breaks out of its line is none. */
const LINE =
  /^(?:# (?:HELP|TYPE) [a-zA-Z_:][\w:]*(?: .*)?|[a-zA-Z_:][\w:]*(?:\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*"(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*")*\})? (?:[-+\d.e]+|NaN))$/;

test('the four collectors, and requests and errors by path and status', async () => {
  const lambdaId = await deploy(tenant.api, { 'lambda_main.js': OWN });
  await callMain(tenant.api, lambdaId, { who: 'a' });
  await callMain(tenant.api, lambdaId, { who: 'b' });
  await callMain(tenant.api, lambdaId, { fails: 'expected' });
  await callMain(tenant.api, lambdaId, { fails: true });
  for (const path of ['items/1', 'items/2', 'nowhere/at/all', 'main']) await get(lambdaId, path);
  const reply = await tenant.api.getLambdaMetrics({ lambdaId });
  assert.equal(reply.statusCode, 200);
  assert.deepEqual(reply.text.split('\n').slice(0, -1), [
    '# HELP request_count_total Requests by path and status.',
    '# TYPE request_count_total counter',
    'request_count_total{path="/main",status="200"} 2',
    'request_count_total{path="/main",status="405"} 1',
    'request_count_total{path="/main",status="418"} 1',
    'request_count_total{path="/main",status="500"} 1',
    'request_count_total{path="/items/<id:int>",status="200"} 2',
    'request_count_total{path="",status="404"} 1',
    '# HELP errors_count_total Requests that failed, by path and status.',
    '# TYPE errors_count_total counter',
    'errors_count_total{path="/main",status="405"} 1',
    'errors_count_total{path="/main",status="418"} 1',
    'errors_count_total{path="/main",status="500"} 1',
    'errors_count_total{path="",status="404"} 1',
    '# HELP calls Calls by caller.',
    '# TYPE calls counter',
    'calls{who="a"} 1',
    'calls{who="b"} 1',
    '# HELP level How full.',
    '# TYPE level gauge',
    'level 5',
    '# HELP sizes Of bodies.',
    '# TYPE sizes histogram',
    'sizes_bucket{le="1"} 0',
    'sizes_bucket{le="10"} 2',
    'sizes_bucket{le="+Inf"} 2',
    'sizes_sum 6',
    'sizes_count 2',
    '# HELP times Of work.',
    '# TYPE times summary',
    'times{quantile="0.5"} 0.25',
    'times_sum 0.5',
    'times_count 2',
    '# HELP user_metrics_dropped_total Observations and series left out.',
    '# TYPE user_metrics_dropped_total counter',
    'user_metrics_dropped_total 0',
  ]);
  assert.equal(
    await (await get(lambdaId, 'metrics')).text(),
    '"of the lambda"',
    'a route /metrics is the lambda’s',
  );
});

test('names, labels and texts can not break the page', async () => {
  const lambdaId = await deploy(tenant.api, {
    'lambda_main.js': `
import { Counter } from 'lambda-tools';
const evil = 'a"} 1\\nevil_total 666\\n\\r\\u2028\\\\';
const refused = [evil, '', '1a'].filter((name) => { try { new Counter({ name, help: '' }); } catch { return true; } });
const labels = [evil, '__name__', ''].filter((name) => {
  try { new Counter({ name: 'c', help: '', labelNames: [name] }); } catch { return true; }
});
const texts = new Counter({ name: 'texts', help: evil, labelNames: ['label'] });
texts.inc({ label: evil });
texts.inc({ label: 'x'.repeat(1000) });
const forged = (name, collected) => {
  const metric = new Counter({ name, help: '' });
  metric.collect = () => collected;
  return metric;
};
const sample = (name, labels, value) => ({ name, labels, value });
export const USER_METRICS = [
  texts,
  forged('a1', { name: evil, help: '', type: 'counter', samples: [sample(evil, {}, 1)] }),
  forged('a2', { name: 'request_count_total', help: '', type: 'counter', samples: [sample('request_count_total', {}, 1)] }),
  forged('a3', { name: 'a3', help: '', type: 'counter' + evil, samples: [sample('a3', {}, 1)] }),
  forged('a4', { name: 'a4', help: '', type: 'counter', samples: [
    sample('a4', { [evil]: 'x' }, 1), sample('a4', { b: 1 }, 1), sample('a4', {}, evil), sample('other', {}, 1),
    sample('a4', {}, 7), sample('a4', {}, 8),
  ] }),
];
export const main = async () => [refused.length, labels.length];
`,
  });
  assert.deepEqual((await callMain(tenant.api, lambdaId)).json, [3, 3]);
  const text = await page(lambdaId);
  const lines = text.split('\n').slice(0, -1);
  assert.deepEqual(
    lines.filter((line) => !LINE.test(line)),
    [],
  );
  assert.ok(!lines.some((line) => line.startsWith('evil')));
  assert.ok(!/[\r\u2028]/u.test(text));
  assert.deepEqual(
    lines.filter((line) => /^(?:texts|a\d)/.test(line)),
    [
      'texts{label="a\\"} 1\\nevil_total 666\\n\ufffd\ufffd\\\\"} 1',
      `texts{label="${'x'.repeat(128)}"} 1`,
      'a4 7',
    ],
  );
  assert.equal(lines.filter((line) => line.startsWith('request_count_total')).length, 1);
  assert.equal(lines.at(-1), 'user_metrics_dropped_total 8');
});

test('series are bounded, and what is left out is counted', async () => {
  const lambdaId = await deploy(
    tenant.api,
    `import { Counter } from 'lambda-tools';
const many = new Counter({ name: 'many', help: '', labelNames: ['n'] });
for (let n = 0; n < 1_050; n++) many.inc({ n });
export const USER_METRICS = [many];
export const main = async () => null;`,
  );
  const text = await page(lambdaId);
  assert.equal(text.match(/^many\{/gm)?.length, 1_000);
  assert.match(text, /^user_metrics_dropped_total 50$/m);
});

test('USER_METRICS that is no list of metrics of one name each fails the start, and says why', async () => {
  const cases = {
    'new Counter({ name: "a", help: "" })': /must be an array/,
    '[{ name: "a" }]': /must be an array/,
    '[new Counter({ name: "a", help: "" }), new Gauge({ name: "a", help: "" })]': /name "a" is taken/,
    '[new Counter({ name: "errors_count_total", help: "" })]': /name "errors_count_total" is taken/,
    'Array.from({ length: 101 }, (_, i) => new Counter({ name: "a" + i, help: "" }))': /allowed are 100/,
  };
  for (const [metrics, message] of Object.entries(cases)) {
    const source = `import { Counter, Gauge } from 'lambda-tools';\nexport const USER_METRICS = ${metrics};\nexport const main = async () => 1;`;
    await assert.rejects(
      deploy(tenant.api, { 'lambda_main.js': source + '\nvoid [Counter, Gauge];' }),
      message,
    );
  }
});

test('of another account there is nothing to see, and no header makes a request one for metrics', async () => {
  const lambdaId = await deploy(tenant.api, { 'lambda_main.js': 'export const main = async (r) => r.json;' });
  const other = await host.account();
  await assert.rejects(other.api.getLambdaMetrics({ lambdaId }), LambdaApiError);
  const reply = await tenant.api.proxyLambdaPost({ lambdaId, path: 'main', body: { kind: 'metrics' } });
  assert.deepEqual(reply.json, { kind: 'metrics' });
  assert.equal((await get(lambdaId, 'metrics')).status, 404);
});
