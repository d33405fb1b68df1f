/**
 * Every limit of the table, over HTTP, on either side of its value. Each value is set by the operator's call just
 * before, on lambdas that run already: so it is shown as well that a quota takes effect at once.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { LambdaApiError, LambdaStateError, type LambdaReply } from '../../src/client/index.ts';
import { LIMIT_KEYS, type LimitKey } from '../../src/config/limits.ts';
import type { Quota } from '../../src/schemas/limits.ts';
import { archiveOf, callMain, deploy, startTestHost, type TestAccount, type TestHost } from '../host.ts';

const WORKER = `
const held: unknown[] = [];
export async function main(request: any) {
  const { sleep, burn, hold, reply, headers, log, lines, fetches, url } = request.json ?? {};
  if (sleep) await new Promise((resolve) => setTimeout(resolve, sleep));
  if (burn) { const end = Date.now() + burn; while (Date.now() < end); }
  if (hold) { held.length = 0; for (let n = 0; n < hold * 128; n++) held.push(new Array(1024).fill(n + 0.5)); }
  if (log) console.log('x'.repeat(log));
  for (let n = 0; n < (lines ?? 0); n++) console.log('line ' + n + 'y'.repeat(200));
  if (headers) return request.sendResponse(200, { body: 'ok', headers: { 'x-a': 'y'.repeat(headers) } });
  if (fetches) return (await Promise.allSettled(Array.from({ length: fetches }, async () => (await fetch(url)).text()))).map((one) => one.status === 'fulfilled' ? 'reached' : one.reason.message);
  return reply ? 'r'.repeat(reply - 2) : 'ok';
}`;

/** Limits whose two sides are tested nearer to where they are enforced. */
const ELSEWHERE: Partial<Record<LimitKey, string>> = {
  process_memory_mb: 'test/integration/pool-limits.test.ts',
  cpu_cores: 'test/integration/pool-limits.test.ts',
  shutdown_ms: 'test/unit/runner-lifecycle.test.ts',
  log_kept_bytes: 'test/unit/log-store.test.ts',
  tasks: 'test/e2e/tasks.test.ts',
  tasks_bytes: 'test/e2e/tasks.test.ts',
  task_content_bytes: 'test/e2e/tasks.test.ts',
  task_result_bytes: 'test/e2e/tasks.test.ts',
  task_parallelism: 'test/e2e/tasks.test.ts',
  subtasks: 'test/e2e/tasks.test.ts',
  subtask_result_bytes: 'test/e2e/tasks.test.ts',
};
const tested = new Set<LimitKey>();

describe('each limit, on either side', () => {
  let host: TestHost;
  let tenant: TestAccount;
  let lambdaId: string;
  let server: Server;
  let atOnce = 0;
  let mostAtOnce = 0;
  let url: string;

  before(async () => {
    server = createServer((_request, response) => {
      atOnce += 1;
      mostAtOnce = Math.max(mostAtOnce, atOnce);
      setTimeout(() => {
        atOnce -= 1;
        response.end('z'.repeat(100));
      }, 30);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    host = await startTestHost();
    tenant = await host.account();
    lambdaId = await deploy(tenant.api, WORKER);
  });
  after(async () => {
    await host?.stop();
    server.closeAllConnections();
    server.close();
  });

  const quota = (given: Quota): Promise<unknown> => {
    for (const key of Object.keys(given)) if (key !== 'egress') tested.add(key as LimitKey);
    return host.operator.putQuota(tenant.accountId, given);
  };
  const call = (body: object): Promise<LambdaReply> => callMain(tenant.api, lambdaId, body);
  const codeOf = (reply: LambdaReply): [number, number | undefined] => [
    reply.statusCode,
    (reply.json as { error_code?: number } | undefined)?.error_code,
  ];
  const ok = async (body: object): Promise<LambdaReply> => {
    const reply = await call(body);
    assert.equal(reply.statusCode, 200, reply.text);
    return reply;
  };
  const fails = async (body: object, status: number, code: number): Promise<void> => {
    const reply = await call(body);
    assert.deepEqual(codeOf(reply), [status, code], reply.text);
  };
  /** An upload's refusal: status and code, `failed` where its build was, undefined where it was taken. */
  const upload = async (files: Record<string, string>, deployParameters: object = {}): Promise<unknown> => {
    try {
      const id = await deploy(tenant.api, files, {}, deployParameters);
      await tenant.api.deleteLambda({ lambdaId: id });
      return undefined;
    } catch (error) {
      if (error instanceof LambdaStateError) {
        await tenant.api.deleteLambda({ lambdaId: error.lambdaId });
        return 'failed';
      }
      if (error instanceof LambdaApiError) return [error.statusCode, error.errorCode];
      throw error;
    }
  };
  const PLAIN = { 'lambda_main.ts': 'export const main = () => 1;\n' };

  test('request_bytes', async () => {
    await quota({ request_bytes: 1_000 });
    const sized = (bytes: number): object => ({ pad: 'p'.repeat(bytes - '{"pad":""}'.length) });
    await ok(sized(1_000));
    await fails(sized(1_001), 413, 43007);
    await quota({ request_bytes: 1_001 });
    await ok(sized(1_001));
  });

  test('reply_bytes', async () => {
    await quota({ reply_bytes: 1_000 });
    await ok({ reply: 1_000 });
    await fails({ reply: 1_001 }, 502, 43008);
  });

  test('header_bytes of a reply', async () => {
    await quota({ header_bytes: 1_000 });
    await ok({ headers: 800 });
    await fails({ headers: 1_000 }, 502, 43008);
  });

  test('header_bytes of a request', async () => {
    await quota({ header_bytes: 1_000 });
    const send = (bytes: number): Promise<LambdaReply> =>
      tenant.api.proxyLambdaPost({ lambdaId, path: 'main', body: {}, headers: { 'x-a': 'y'.repeat(bytes) } });
    assert.equal((await send(300)).statusCode, 200);
    assert.deepEqual(codeOf(await send(1_000)), [431, 43045]);
  });

  for (const key of ['rate_per_s', 'account_rate_per_s'] as const) {
    test(key, async () => {
      await quota({ [key]: 1_000 });
      await ok({});
      // A bucket holds double its rate, and keeps what it holds when the rate falls.
      await quota({ [key]: 0.01 });
      const codes = [];
      for (let n = 0; n < 3; n += 1) codes.push(codeOf(await call({})).join(' '));
      assert.ok(codes.includes('429 43004'), codes.join());
      await quota({ [key]: 1_000 });
      await ok({});
    });
  }

  for (const key of ['concurrency', 'account_concurrency'] as const) {
    test(`${key}, and queue of none`, async () => {
      await quota({ [key]: 2, queue: 0 });
      const codes = async (calls: number): Promise<string[]> =>
        (await Promise.all(Array.from({ length: calls }, () => call({ sleep: 300 }))))
          .map((reply) => codeOf(reply).join(' ').trim())
          .sort();
      assert.deepEqual(await codes(2), ['200', '200']);
      assert.deepEqual(await codes(3), ['200', '200', '429 43005']);
      await quota({ [key]: 3, queue: 0 });
      assert.deepEqual(await codes(3), ['200', '200', '200']);
    });
  }

  test('queue', async () => {
    await quota({ concurrency: 1, queue: 1 });
    const codes = async (calls: number): Promise<string[]> =>
      (await Promise.all(Array.from({ length: calls }, () => call({ sleep: 100 }))))
        .map((reply) => codeOf(reply).join(' ').trim())
        .sort();
    assert.deepEqual(await codes(2), ['200', '200']);
    assert.deepEqual(await codes(3), ['200', '200', '429 43006']);
  });

  test('timeout_ms', async () => {
    await quota({ timeout_ms: 500 });
    await ok({ sleep: 20 });
    await fails({ sleep: 5_000 }, 504, 43001);
  });

  test('cpu_ms', async () => {
    await quota({ cpu_ms: 200 });
    await ok({ burn: 20 });
    await fails({ burn: 5_000 }, 504, 43002);
    await quota({ cpu_ms: 5_000 });
    await ok({ burn: 600 });
  });

  test('memory_mb, with the next isolate', async () => {
    await quota({ memory_mb: 16, cpu_ms: 10_000 });
    await ok({ hold: 2 });
    await fails({ hold: 60 }, 507, 43003);
    await quota({ memory_mb: 128, cpu_ms: 10_000 });
    await ok({ hold: 60 });
  });

  test('startup_ms', async () => {
    await quota({ startup_ms: 700 });
    const starting = (ms: number): Record<string, string> => ({
      'lambda_main.ts': `export class UserCtx { async onStart() { await new Promise((r) => setTimeout(r, ${ms})); } }\nexport const main = () => 1;\n`,
    });
    assert.equal(await upload(starting(10)), undefined);
    assert.equal(await upload(starting(5_000)), 'failed');
  });

  test('archive_bytes', async () => {
    const { length } = archiveOf(PLAIN);
    await quota({ archive_bytes: length });
    assert.equal(await upload(PLAIN), undefined);
    await quota({ archive_bytes: length - 1 });
    assert.deepEqual(await upload(PLAIN), [413, 43031]);
  });

  test('unpacked_bytes', async () => {
    const { length } = PLAIN['lambda_main.ts'];
    await quota({ unpacked_bytes: length });
    assert.equal(await upload(PLAIN), undefined);
    await quota({ unpacked_bytes: length - 1 });
    assert.deepEqual(await upload(PLAIN), [400, 43030]);
  });

  test('archive_files', async () => {
    await quota({ archive_files: 2 });
    assert.equal(await upload({ ...PLAIN, 'a.txt': 'a' }), undefined);
    assert.deepEqual(await upload({ ...PLAIN, 'a.txt': 'a', 'b.txt': 'b' }), [400, 43030]);
  });

  test('bundle_bytes', async () => {
    const files = { 'lambda_main.ts': `export const main = () => "${'b'.repeat(5_000)}";\n` };
    await quota({ bundle_bytes: 20_000 });
    assert.equal(await upload(files), undefined);
    await quota({ bundle_bytes: 5_000 });
    assert.deepEqual(await upload(files), [400, 42005]);
  });

  test('lambdas', async () => {
    await quota({ lambdas: 2 });
    const second = await deploy(tenant.api, PLAIN);
    assert.deepEqual(await upload(PLAIN), [403, 43041]);
    await tenant.api.deleteLambda({ lambdaId: second });
    assert.equal(await upload(PLAIN), undefined);
  });

  test('versions', async () => {
    await quota({ versions: 2 });
    const id = await deploy(tenant.api, PLAIN);
    for (const n of [2, 3]) {
      await tenant.api.updateLambda({
        lambdaId: id,
        archive: archiveOf({ 'lambda_main.ts': `export const main = () => ${n};\n` }),
      });
      await tenant.api.waitUntilRunning(id);
    }
    const { items } = (await tenant.api.getVersions({ lambdaId: id })).json;
    assert.deepEqual(items.map(({ version }) => version).sort(), [2, 3]);
    await tenant.api.deleteLambda({ lambdaId: id });
  });

  test('log_line_bytes', async () => {
    await quota({ log_line_bytes: 100 });
    await ok({ log: 100 });
    await ok({ log: 101 });
    const { items } = (await tenant.api.getLogs({ lambdaId })).json;
    const messages = items.map(({ message }) => message).filter((message) => message.startsWith('xxx'));
    assert.equal(messages[0], 'x'.repeat(100));
    assert.ok(messages[1]!.startsWith('x'.repeat(100)) && messages[1]!.includes('cut'), messages[1]);
  });

  test('log_bytes_per_s', async () => {
    await quota({ log_bytes_per_s: 4_000 });
    const seen = async (): Promise<number> =>
      (await tenant.api.getLogs({ lambdaId, pageSize: 1_000 })).json.items.filter(({ message }) =>
        message.startsWith('line '),
      ).length;
    await ok({ lines: 2 });
    assert.equal(await seen(), 2);
    await ok({ lines: 200 });
    assert.ok((await seen()) < 60, `${await seen()} lines were kept`);
  });

  test('egress', async () => {
    await quota({ egress: [] });
    assert.match(String(((await ok({ fetches: 1, url })).json as string[])[0]), /egress|not on the list/);
    await quota({ egress: [new URL(url).host] });
    assert.deepEqual((await ok({ fetches: 1, url })).json, ['reached']);
  });

  test('fetches', async () => {
    await quota({ fetches: 2, egress: [new URL(url).host] });
    assert.deepEqual((await ok({ fetches: 2, url })).json, ['reached', 'reached']);
    assert.match(String(((await ok({ fetches: 3, url })).json as string[])[2]), /more than 2/);
  });

  test('fetch_concurrency', async () => {
    for (const most of [1, 3]) {
      mostAtOnce = 0;
      await quota({ fetch_concurrency: most, egress: [new URL(url).host] });
      await ok({ fetches: 6, url });
      assert.equal(mostAtOnce, most);
    }
  });

  test('fetch_bytes', async () => {
    await quota({ fetch_bytes: 100, egress: [new URL(url).host] });
    assert.deepEqual((await ok({ fetches: 1, url })).json, ['reached']);
    await quota({ fetch_bytes: 99, egress: [new URL(url).host] });
    assert.match(String(((await ok({ fetches: 1, url })).json as string[])[0]), /fetch_bytes/);
  });

  test('usage says what all of that was: outcomes, CPU, bytes and egress', async () => {
    const { total } = (await tenant.api.getUsage(tenant.accountId, {})).json;
    for (const kind of [
      'reply',
      'timeout',
      'cpu_limit',
      'memory_limit',
      'rate_limited',
      'concurrency_limit',
      'queue_full',
      'request_too_large',
      'reply_too_large',
    ])
      assert.ok((total.outcomes[kind] ?? 0) > 0, `${kind}: ${JSON.stringify(total.outcomes)}`);
    assert.ok(
      total.cpu_seconds > 0.3 && total.gb_seconds > 0 && total.bytes_in > 1_000 && total.bytes_out > 1_000,
      JSON.stringify(total),
    );
    assert.ok(total.egress_requests >= 15 && total.egress_bytes >= 1_500, JSON.stringify(total));
  });

  test('no limit of the table is without its test', () => {
    for (const key of LIMIT_KEYS) assert.ok(tested.has(key) || ELSEWHERE[key] !== undefined, key);
  });
});

test('a host that is killed has lost no more usage than a few seconds of it', async () => {
  const first = await startTestHost();
  const { accountId, api } = await first.account();
  const lambdaId = await deploy(api, 'export const main = () => 1;');
  for (let n = 0; n < 20; n += 1) await callMain(api, lambdaId, {});
  // It is written by the clock alone: a question would have it written at once.
  await new Promise((resolve) => setTimeout(resolve, FLUSHED_MS));
  await first.kill();
  const second = await startTestHost({ dataDir: first.dataDir });
  try {
    const { total } = (await second.operator.getUsage(accountId, {})).json;
    assert.equal(total.outcomes.reply, 20);
  } finally {
    await second.stop();
  }
});
/** What is older than this is in the store, whatever happens. */
const FLUSHED_MS = 4_000;
