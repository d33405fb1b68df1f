/** Every example of the contract's source, ported to TypeScript in fixtures/seed, through a real host over HTTP. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { LambdaReply } from '../../src/client/index.ts';
import { fixtureArchive } from '../folder-archive.ts';
import { startTestHost, type TestAccount, type TestHost } from '../host.ts';
import { lineOf } from '../lambda-log.ts';

describe('the examples of the seed', () => {
  let service: Server;
  let serviceOrigin: string;
  const serviceSaw: { method: string; url: string; account: string; key: string; body: string }[] = [];
  let host: TestHost;
  let tenant: TestAccount;

  before(async () => {
    service = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        const { method = '', url = '', headers } = request;
        serviceSaw.push({
          method,
          url,
          account: String(headers['luna-account-id']),
          key: String(headers['x-api-key']),
          body,
        });
        response.writeHead(201, { 'content-type': 'application/json' }).end('{"event_ids":["1"]}');
      });
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    serviceOrigin = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
    const config = `
services:
  faces: { address: "${serviceOrigin}/faces", manifest: { allow: ["GET /"] } }
  events:
    address: "${serviceOrigin}/events-service"
    credentials: { x-api-key: hidden-from-lambdas }
    manifest: { methods: { saveEvents: "POST /events" } }
  sender: { enabled: false, address: "${serviceOrigin}" }
`;
    host = await startTestHost({ config });
    tenant = await host.account({ egress: [new URL(serviceOrigin).host] });
  });
  after(async () => {
    await host?.stop();
    service.close();
  });

  const deploy = async (example: string, parameters: object = {}): Promise<string> => {
    const { lambda_id: lambdaId } = (
      await tenant.api.createLambda({
        archive: fixtureArchive(`seed/${example}`),
        parameters: { lambda_type: 'standalone', ...parameters },
      })
    ).json;
    await tenant.api.waitUntilRunning(lambdaId);
    return lambdaId;
  };
  const main = (lambdaId: string, body?: object): Promise<LambdaReply> =>
    tenant.api.proxyLambdaPost({ lambdaId, path: 'main', ...(body && { body }) });
  const messages = async (lambdaId: string): Promise<string[]> =>
    (await tenant.api.getLogs({ lambdaId })).json.items.map(({ message }) => message);

  test('startup and shutdown: UserCtx starts before the first request, and ends when the lambda is switched off', async () => {
    const lambdaId = await deploy('startup-and-shutdown');
    assert.deepEqual((await main(lambdaId)).json, { connections: ['database'] });
    assert.ok((await messages(lambdaId)).includes('start lambda'));
    const ended = lineOf(tenant.api, lambdaId, 'shutdown lambda');
    await tenant.api.switchLambda({ lambdaId, alive: false });
    await ended;
  });

  test('user context: requests see what onStart did', async () => {
    assert.deepEqual((await main(await deploy('user-context'))).json, { result: 1 });
  });

  test('session: requests to an external server over a session of the user context', async () => {
    const lambdaId = await deploy('session', { user_config: { url: `${serviceOrigin}/luna` } });
    assert.deepEqual((await main(lambdaId)).json, { status: 201 });
  });

  test('logger: a line reaches the log', async () => {
    const lambdaId = await deploy('logger');
    assert.deepEqual((await main(lambdaId)).json, { result: 'empty' });
    assert.ok((await messages(lambdaId)).includes('Hello, world!'));
  });

  test('modules: more than one file, imported from the root and relative', async () => {
    assert.deepEqual((await main(await deploy('modules'))).json, {
      from_file_1: 'foo_from_file1',
      variable_from_nested: 1,
      from_file_in_path_1: 'foo_from_fileinpath1',
      from_file_in_path_2: 'foo_from_fileinpath2',
    });
  });

  test('configuration: lambda_config.yml as an object', async () => {
    assert.deepEqual((await main(await deploy('configuration'))).json, {
      title: 'My Lambda',
      version: 5,
      feature1_enabled: true,
      username: 'admin',
    });
  });

  test('expected exception: its status, and its text in detail', async () => {
    const lambdaId = await deploy('expected-exception');
    const reply = await main(lambdaId, { images: ['image_one'] });
    assert.equal(reply.statusCode, 400);
    assert.equal((reply.json as { detail: string }).detail, 'expected two images in request');
    assert.deepEqual((await main(lambdaId, { images: ['image_one', 'image_two'] })).json, { image_count: 2 });
  });

  test('unexpected exception: 500, and the text of the error in detail', async () => {
    const reply = await main(await deploy('unexpected-exception'));
    assert.equal(reply.statusCode, 500);
    assert.equal((reply.json as { detail: string }).detail, 'division by zero');
  });

  test('clients: addresses of the services that are enabled', async () => {
    assert.deepEqual((await main(await deploy('clients'))).json, {
      faces_address: `${serviceOrigin}/faces`,
      events_address: `${serviceOrigin}/events-service`,
    });
  });

  test('flags: which services are enabled', async () => {
    const lambdaId = await deploy('flags');
    assert.deepEqual((await main(lambdaId)).json, { events: true, sender: false, handlers: false });
    const lines = await messages(lambdaId);
    for (const line of ['events enabled: true', 'sender enabled: false', 'handlers enabled: false'])
      assert.ok(lines.includes(line), line);
  });

  test('save event: a named method of a client; account and credentials are the host’s', async () => {
    assert.deepEqual((await main(await deploy('save-event'))).json, { status: 'success' });
    const seen = serviceSaw.find(({ url }) => url === '/events-service/events');
    assert.deepEqual(seen && { method: seen.method, account: seen.account, key: seen.key }, {
      method: 'POST',
      account: tenant.accountId,
      key: 'hidden-from-lambdas',
    });
    assert.deepEqual(JSON.parse(seen!.body), { events: [{ source: 'lambda' }] });
  });

  test('additional routes: parameters by regular expression, HEAD, plain text, and the main route beside them', async () => {
    const lambdaId = await deploy('routes');
    const id = randomUUID();
    const head = (parameter: string): Promise<LambdaReply> =>
      tenant.api.proxyLambdaHead({ lambdaId, path: `parameters/${parameter}` });
    assert.equal((await head(id)).statusCode, 404);
    const created = await tenant.api.proxyLambdaPost({ lambdaId, path: `parameters/${id}` });
    assert.deepEqual([created.statusCode, created.json], [201, { response: id }]);
    assert.equal((await head(id)).statusCode, 204);
    const list = await tenant.api.proxyLambdaGet({ lambdaId, path: 'parameters' });
    assert.deepEqual([list.text, list.headers.get('content-type')], [id, 'text/plain']);
    assert.equal(
      (await tenant.api.proxyLambdaPost({ lambdaId, path: 'parameters/no-uuid' })).statusCode,
      404,
    );
    const wrongMethod = await tenant.api.proxyLambdaPut({ lambdaId, path: 'parameters' });
    assert.equal(wrongMethod.statusCode, 405);
    assert.match(String(wrongMethod.headers.get('allow')), /GET/);
    assert.deepEqual((await main(lambdaId)).json, { result: 'main route response' });
  });

  test('a tasks lambda with additional routes: they answer beside the task', async () => {
    const lambdaId = await deploy('tasks-with-routes', { lambda_type: 'tasks' });
    const reply = await tenant.api.proxyLambdaGet({ lambdaId, path: 'subtasks_done/12' });
    assert.deepEqual([reply.statusCode, reply.json], [404, { error: 'Task 12 not found' }]);
    assert.equal((await tenant.api.proxyLambdaGet({ lambdaId, path: 'subtasks_done/x' })).statusCode, 404);
    // What a task's content does is the tasks API's; `main` is no route of it.
    assert.equal((await main(lambdaId)).statusCode, 405);

    const data = [
      { count: 1, delay: 0.01 },
      { count: 2, delay: 0.01 },
      { count: 0, delay: 0 },
    ];
    const { task_id: taskId } = (await tenant.api.createTask({ content: { lambda_id: lambdaId, data } }))
      .json;
    await tenant.api.waitForTask(taskId, { timeoutMs: 30_000 });
    const { status, results } = (await tenant.api.getTaskResult({ taskId })).json;
    assert.equal(status, 'done');
    assert.deepEqual(
      results.map(({ result }) => result),
      data.map(() => ({ result: 'some task result' })),
    );
    const done = await tenant.api.proxyLambdaGet({ lambdaId, path: `subtasks_done/${taskId}` });
    assert.deepEqual([done.statusCode, done.json], [200, { sub_tasks_done: 3 }]);
  });

  test('a route without parameters', async () => {
    const lambdaId = await deploy('route-without-parameters');
    const reply = await tenant.api.proxyLambdaPost({ lambdaId, path: 'new_route', body: { parameter: 1 } });
    assert.deepEqual([reply.statusCode, reply.json], [201, { response: { parameter: 1 } }]);
  });

  test('a route with two parameters', async () => {
    const lambdaId = await deploy('route-with-two-parameters');
    const reply = await tenant.api.proxyLambdaPost({ lambdaId, path: 'new_route/one/two' });
    assert.deepEqual([reply.statusCode, reply.json], [201, { response: ['one', 'two'] }]);
  });

  test('a handler with inheritance', async () => {
    const lambdaId = await deploy('route-with-inheritance');
    const reply = await tenant.api.proxyLambdaPost({ lambdaId, path: 'new_route/value' });
    assert.deepEqual([reply.statusCode, reply.json], [201, { response: 'value' }]);
  });
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
