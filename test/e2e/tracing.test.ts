/** Traces of a host, as a receiver sees them: one connected tree from the caller's span to the server that a lambda calls. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Timeout, Unroutable } from '../../src/client/rpc-errors.ts';
import { parseTraceparent } from '../../src/telemetry/trace-context.ts';
import { brokerUrl } from '../broker.ts';
import { deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { client, until } from '../integration/amqp-serving.ts';
import { otlpReceiver, type OtlpReceiver, type OtlpSpan } from '../otlp-receiver.ts';
import { startWitness, type Seen, type Witness } from '../witness.ts';

const CALLS = `import type { StandaloneLambdaRequest } from 'lambda-tools';
export async function main({ json, clients }: StandaloneLambdaRequest) {
  const { url } = json as { url: string };
  await fetch(url + '/plain');
  await fetch(url + '/own', { headers: { traceparent: '00-11111111111111111111111111111111-2222222222222222-01' } });
  await clients.events.get('/service');
  await new Promise((resolve) => setTimeout(resolve, 50));
  return null;
}`;
const CALLER = 'b7ad6b7169203331';

let otlp: OtlpReceiver;
let world: Witness;
let host: TestHost;
let tenant: TestAccount;
const teardown: (() => unknown)[] = [];
before(async () => {
  otlp = await otlpReceiver({ after: (end) => void teardown.push(end) });
  world = await startWitness();
  host = await startTestHost({
    config: `
amqp: { url: "${await brokerUrl()}" }
services: { events: { address: "${world.origin}", manifest: { allow: ["GET /"] } } }
sandbox: { idle_ms: 600000 }
`,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.origin, OTEL_SERVICE_NAME: 'traced host' },
  });
  tenant = await host.account({ egress: [world.host], concurrency: 1 });
});
after(async () => {
  await host?.stop();
  await world?.close();
  for (const end of teardown) await end();
});

let lastTrace = 0;
const newTraceId = (): string => (++lastTrace).toString(16).padStart(32, 'a');
const spansOf = (traceId: string): OtlpSpan[] => otlp.spans.filter((span) => span.traceId === traceId);
const named = (traceId: string, name: string): OtlpSpan => {
  const found = spansOf(traceId).filter((span) => span.name === name);
  assert.equal(found.length, 1, `${name}: ${JSON.stringify(spansOf(traceId))}`);
  return found[0]!;
};
/** Every span hangs below another of the trace, in the end below the caller's. */
function assertOneTree(traceId: string): void {
  const ids = new Set([CALLER, ...spansOf(traceId).map(({ spanId }) => spanId)]);
  for (const { name, parentSpanId } of spansOf(traceId))
    assert.ok(ids.has(parentSpanId ?? ''), `${name} hangs in the air`);
}
const call = (lambdaId: string, headers: Record<string, string>): Promise<unknown> =>
  tenant.api.proxyLambdaPost({ lambdaId, path: 'main', body: { url: world.origin }, headers });
const seenWith = (url: string, traceId: string): Seen | undefined =>
  world.seen.find((seen) => seen.url === url && seen.headers.traceparent?.toString().includes(traceId));

test('a request over HTTP: gateway, admission, cold start, isolate, fetch and service are one tree', async () => {
  const lambdaId = await deploy(tenant.api, CALLS);
  // A new limit: the isolate that the deployment has started makes way, so that the next call finds none.
  await tenant.api.patchLambda({ lambdaId, parameters: { description: 'changed' } });
  await host.operator.putQuota(tenant.accountId, { egress: [world.host], concurrency: 1, cpu_ms: 900 });
  const first = newTraceId();
  const second = newTraceId();
  const traceparent = (traceId: string) => ({
    traceparent: `00-${traceId}-${CALLER}-01`,
    tracestate: 'vendor=1',
  });
  // The second waits for the place of the first.
  await Promise.all([call(lambdaId, traceparent(first)), call(lambdaId, traceparent(second))]);
  // At the end of a trace stands the gateway's span.
  const server = 'POST /1/lambdas/{lambda_id}/proxy';
  await until('both traces are there', () =>
    [first, second].every((id) => spansOf(id).some(({ name }) => name === server)),
  );
  const waited = spansOf(first).some(({ name }) => name === 'admission wait') ? first : second;
  const cold = waited === first ? second : first;
  for (const traceId of [first, second]) {
    assertOneTree(traceId);
    assert.equal(named(traceId, server).parentSpanId, CALLER);
    assert.equal(named(traceId, server).traceState, 'vendor=1');
    const invoke = named(traceId, 'invoke');
    assert.equal(invoke.parentSpanId, named(traceId, server).spanId);
    const outward = spansOf(traceId).filter(
      ({ parentSpanId, kind }) => parentSpanId === invoke.spanId && kind === 3,
    );
    assert.deepEqual(outward.map(({ name }) => name).sort(), ['GET', 'GET', 'GET events']);
    const service = named(traceId, 'GET events');
    const carried = seenWith('/service', traceId);
    assert.equal(carried?.headers.traceparent, `00-${traceId}-${service.spanId}-01`);
    assert.equal(carried?.headers.tracestate, 'vendor=1');
    const plain = parseTraceparent(seenWith('/plain', traceId)?.headers.traceparent);
    assert.ok(outward.some(({ name, spanId }) => name === 'GET' && spanId === plain?.spanId));
  }
  assert.equal(named(waited, 'admission wait').parentSpanId, named(waited, server).spanId);
  assert.equal(named(cold, 'cold start').parentSpanId, named(cold, 'invoke').spanId);
  // A lambda that names a parent of its own is believed.
  assert.ok(seenWith('/own', '1'.repeat(32)));
  assert.deepEqual([...otlp.services], ['traced host']);
});

test("a caller's decision not to sample is kept, and passed on", async () => {
  const lambdaId = await deploy(tenant.api, CALLS);
  const traceId = newTraceId();
  await call(lambdaId, { traceparent: `00-${traceId}-${CALLER}-00` });
  assert.match(seenWith('/plain', traceId)?.headers.traceparent?.toString() ?? '', /-00$/);
  const next = newTraceId();
  await call(lambdaId, { traceparent: `00-${next}-${CALLER}-01` });
  await until('the next trace is there', () => spansOf(next).length >= 5);
  assert.deepEqual(spansOf(traceId), []);
});

test('a message: consumer, isolate and producer are one tree, below the header that it came with', async (t) => {
  const lambdaId = await deploy(
    tenant.api,
    'export const lambda_handler = (_event: unknown, { traceparent }: any) => traceparent;',
    { lambda_type: 'rpc', amqp: true },
  );
  const { effective_queue: queue } = (await tenant.api.getLambda({ lambdaId })).json;
  assert.ok(queue);
  const rpc = client(t, await brokerUrl());
  const traceId = newTraceId();
  const headers = { traceparent: `00-${traceId}-${CALLER}-01` };
  await until('the queue is served', () =>
    rpc.request(queue, 1, { headers, timeoutMs: 4_000 }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Unroutable || error instanceof Timeout) return false;
        throw error;
      },
    ),
  );
  await until('its trace is there', () => spansOf(traceId).some(({ name }) => name === 'process'));
  assertOneTree(traceId);
  assert.equal(named(traceId, 'process').parentSpanId, CALLER);
  assert.equal(named(traceId, 'invoke').parentSpanId, named(traceId, 'process').spanId);
  assert.equal(named(traceId, 'reply').parentSpanId, named(traceId, 'process').spanId);
});

test('a task: its split and its subtasks belong to the trace of the request that created it', async () => {
  const lambdaId = await deploy(
    tenant.api,
    `import { BaseLambdaTask } from 'lambda-tools/tasks';
export class LambdaTask extends BaseLambdaTask {
  async splitTasksContent() { return [{}, {}]; }
  async executeSubtask() { return {}; }
}`,
    { lambda_type: 'tasks' },
  );
  const traceId = newTraceId();
  const reply = await fetch(`${host.origin}/1/tasks/lambda`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${tenant.token}`,
      'content-type': 'application/json',
      traceparent: `00-${traceId}-${CALLER}-01`,
    },
    body: JSON.stringify({ content: { lambda_id: lambdaId } }),
  });
  const { task_id: taskId } = (await reply.json()) as { task_id: number };
  await tenant.api.waitForTask(taskId, { timeoutMs: 30_000 });
  const executions = () => spansOf(traceId).filter(({ name }) => name === 'invoke');
  await until('its executions are there', () => executions().length === 3);
  assertOneTree(traceId);
  assert.deepEqual(
    executions()
      .map(
        ({ attributes = [] }) =>
          attributes.find(({ key }) => key === 'isolambda.request_id')?.value.stringValue,
      )
      .sort(),
    [`task-${taskId}-1`, `task-${taskId}-2`, `task-${taskId}-split`],
  );
});

test('a host without a receiver makes no traces, and leaves what a lambda sends as it is', async (t) => {
  const quiet = await startTestHost();
  t.after(() => quiet.stop());
  const { api } = await quiet.account({ egress: [world.host] });
  const lambdaId = await deploy(
    api,
    `export const main = async (request: any) => { await fetch(request.json.url + '/quiet'); return null; };`,
  );
  const headers = { traceparent: `00-${newTraceId()}-${CALLER}-01` };
  await api.proxyLambdaPost({ lambdaId, path: 'main', body: { url: world.origin }, headers });
  assert.equal((await world.saw('/quiet')).headers.traceparent, undefined);
});
