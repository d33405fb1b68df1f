/** The host's metrics: what an operator needs is counted, promtool has nothing to say of it, and the dashboard asks for what is there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { brokerUrl } from '../broker.ts';
import { callMain, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { startWitness, type Witness } from '../witness.ts';

const BUSY = `import type { StandaloneLambdaRequest } from 'lambda-tools';
export async function main(request: StandaloneLambdaRequest) {
  const { what, url } = request.json as { what: string; url: string };
  switch (what) {
    case 'throw': throw new Error('meant');
    case 'loop': for (;;);
    case 'flood': for (let n = 0; n < 3_000; n++) console.log('x'.repeat(1_000)); return null;
    case 'fetch': return (await fetch(url)).status;
    case 'forbidden': return fetch('http://forbidden.example/').catch(() => null);
    case 'wait': return new Promise((resolve) => setTimeout(resolve, 300, null));
  }
}`;

let host: TestHost;
let tenant: TestAccount;
let outside: Witness;
let lambdaId: string;
let page: string;

before(async () => {
  outside = await startWitness();
  host = await startTestHost({ flags: { 'amqp-url': await brokerUrl() } });
  tenant = await host.account({ egress: [outside.host], concurrency: 1, queue: 1, cpu_ms: 300 });
  lambdaId = await deploy(tenant.api, BUSY);
  const call = (what: string) => callMain(tenant.api, lambdaId, { what, url: outside.origin });
  for (const what of ['throw', 'flood', 'fetch', 'forbidden', 'loop', 'nothing']) await call(what);
  // One runs, one waits, and for the third there is no place.
  await Promise.all([call('wait'), call('wait'), call('wait')]);
  await assert.rejects(deploy(tenant.api, 'export const nothing = 1;'));
  const wrong = await fetch(`${host.origin}/1/lambdas/${lambdaId}/proxy/main`, { method: 'POST' });
  assert.equal(wrong.status, 401);
  page = (await host.operator.getMetrics()).text;
});
after(async () => {
  await host?.stop();
  await outside?.close();
});

/** The value of a series; its labels in any order. */
function value(name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
  const line = page
    .split('\n')
    .find(
      (text) =>
        text.startsWith(`${name}${wanted.length > 0 ? '{' : ' '}`) &&
        wanted.every((part) => text.includes(part)),
    );
  assert.ok(line, `no ${name} ${JSON.stringify(labels)} in\n${page}`);
  return Number(line.split(' ').at(-1));
}

test('requests by outcome, waits, starts, ends, builds, egress, logs and queues are counted', () => {
  const outcome = (kind: string): number =>
    value('isolambda_invocations_total', { source: 'http', outcome: kind });
  assert.ok(outcome('reply') >= 5);
  assert.equal(outcome('exception'), 1);
  assert.equal(outcome('cpu_limit'), 1);
  assert.equal(outcome('queue_full'), 1);
  assert.equal(value('isolambda_admission_wait_seconds_count', { result: 'admitted' }), 1);
  assert.equal(value('isolambda_edge_refusals_total', { error: 'unauthorized' }), 1);
  assert.ok(value('isolambda_cold_start_seconds_count', { result: 'started' }) >= 2);
  assert.equal(value('isolambda_isolates_ended_total', { reason: 'cpu_limit' }), 1);
  assert.ok(value('isolambda_runner_boot_seconds_count') >= 1);
  assert.ok(value('isolambda_runners_resident_bytes') > 1e6);
  assert.equal(value('isolambda_isolates'), 1);
  assert.ok(value('isolambda_build_duration_seconds_count', { result: 'ok' }) >= 1);
  assert.ok(value('isolambda_build_duration_seconds_count', { result: 'refused' }) >= 1);
  assert.equal(
    value('isolambda_egress_request_duration_seconds_count', { bridge: 'fetch', result: 'ok' }),
    1,
  );
  assert.equal(
    value('isolambda_egress_request_duration_seconds_count', { bridge: 'fetch', result: 'egress' }),
    1,
  );
  assert.equal(value('isolambda_egress_bytes_total', { direction: 'received' }), 2);
  assert.ok(value('isolambda_log_lines_total') > 100);
  assert.ok(value('isolambda_log_lines_dropped_total', { reason: 'rate' }) > 1_000);
  assert.ok(
    value('isolambda_api_requests_total', { method: 'POST', route: '/1/accounts', status: '201' }) >= 1,
  );
  assert.equal(value('isolambda_lambdas'), 1);
  assert.equal(value('isolambda_amqp_messages_received_total'), 0);
  assert.ok(value('process_resident_memory_bytes') > 1e6);
});

test('no label holds what a tenant or a client chose', () => {
  for (const id of [lambdaId, tenant.accountId, 'forbidden.example', outside.host])
    assert.ok(!page.includes(id), id);
});

const promtool = (text: string): { status: number | null; said: string } => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
};
const missing =
  spawnSync('promtool', ['--version']).error === undefined
    ? false
    : "promtool is not installed: Debian's prometheus has it";

test(
  'promtool has no complaint about the metrics of the host, nor of a lambda',
  { skip: missing },
  async () => {
    assert.deepEqual(promtool(page), { status: 0, said: '' });
    assert.deepEqual(promtool((await tenant.api.getLambdaMetrics({ lambdaId })).text), {
      status: 0,
      said: '',
    });
    // It does complain where there is reason to.
    assert.notEqual(promtool('# TYPE some_total gauge\nsome_total 1\n').status, 0);
  },
);

test('the dashboard asks for metrics that are there', () => {
  const dashboard = readFileSync(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8');
  const { panels } = JSON.parse(dashboard) as { panels: { targets?: { expr: string }[] }[] };
  const asked = new Set(
    panels
      .flatMap(({ targets = [] }) => targets)
      .flatMap(({ expr }) => expr.match(/\b(?:isolambda|process|nodejs)_\w+/g) ?? []),
  );
  assert.ok(asked.size > 20, `${asked.size} metrics`);
  for (const name of asked)
    assert.match(page, new RegExp(`^# TYPE ${name.replace(/_(?:bucket|sum|count)$/, '')} `, 'm'), name);
});
