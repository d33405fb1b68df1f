import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LambdaApi } from '../../src/client/index.ts';
import { callMain, deploy, ECHO, startTestHost, type TestAccount, type TestHost } from '../host.ts';

/** What one tenant does, and what it gets for it. The bystander is another account, called all the while. */
const CASES: readonly {
  name: string;
  main: string;
  limits?: object;
  status: number;
  code: number;
  detail?: RegExp;
}[] = [
  { name: 'loops before an await', main: 'for (;;);', status: 504, code: 43002 },
  { name: 'loops after an await', main: 'await null; for (;;);', status: 504, code: 43002 },
  { name: 'awaits in a loop without end', main: 'for (;;) await null;', status: 504, code: 43002 },
  {
    name: 'computes between timers without end',
    main: 'for (;;) { const end = Date.now() + 20; while (Date.now() < end); await new Promise((r) => setTimeout(r, 1)); }',
    status: 504,
    code: 43002,
  },
  {
    name: 'allocates without end',
    // Collecting garbage is computing, too: the memory limit must come first.
    limits: { cpu_ms: 1_400 },
    main: 'const all = []; for (;;) all.push(new Array(100_000).fill(Math.random()));',
    status: 507,
    code: 43003,
  },
  { name: 'never settles', main: 'await new Promise(() => {});', status: 504, code: 43001 },
  {
    name: 'throws an error',
    main: 'throw new Error("division by zero");',
    status: 500,
    code: 42004,
    detail: /^division by zero$/,
  },
  { name: 'throws a text', main: 'throw "just text";', status: 500, code: 42004, detail: /just text/ },
  {
    name: 'recurses without end',
    main: 'const f = () => f() + 1; f();',
    status: 500,
    code: 42004,
    detail: /call stack/i,
  },
  {
    name: 'returns a cycle',
    main: 'const a = { deep: {} }; a.deep.again = a; return a;',
    status: 500,
    code: 43015,
    detail: /deep/,
  },
  { name: 'returns a BigInt', main: 'return { count: 10n };', status: 500, code: 43015, detail: /count/ },
  { name: 'returns a function', main: 'return () => 1;', status: 500, code: 43015 },
  { name: 'returns more than reply_bytes', main: 'return "x".repeat(9_000_000);', status: 502, code: 43008 },
];

describe('a tenant that misbehaves gets its own error, and another account notices nothing', () => {
  let host: TestHost;
  let villain: TestAccount;
  let bystander: { stop: () => Promise<{ calls: number; failures: string[] }> };

  before(async () => {
    host = await startTestHost();
    villain = await host.account({ cpu_ms: 2_000, timeout_ms: 2_000, memory_mb: 32, lambdas: 100 });
    const good = await host.account();
    bystander = callAllTheWhile(good.api, await deploy(good.api, ECHO));
  });
  after(() => host?.stop());

  for (const { name, main, status, code, detail, limits = { cpu_ms: 200 } } of CASES) {
    test(name, async () => {
      const source = `export async function main(request: any) { if (request.json?.well) return "well"; ${main} }`;
      const lambdaId = await deploy(villain.api, source, {}, limits);
      const reply = await callMain(villain.api, lambdaId, {});
      const body = reply.json as { error_code: number; desc: string; detail: string; link: string };
      assert.deepEqual([reply.statusCode, body.error_code], [status, code], JSON.stringify(body));
      assert.ok(body.desc && body.link.includes(String(code)));
      if (detail) assert.match(body.detail, detail);
      // The lambda serves its next request, from a fresh isolate where the old one is gone.
      const again = await callMain(villain.api, lambdaId, { well: true });
      assert.deepEqual([again.statusCode, again.json], [200, 'well'], again.text);
    });
  }

  test('a runner that V8 itself gives up on costs only its account', async () => {
    const lambdaId = await deploy(
      villain.api,
      'export function main(request: any) { if (request.json?.well) return "well"; return String(10n ** (10n ** 9n)).length; }',
      {},
      { cpu_ms: 200 },
    );
    const reply = await callMain(villain.api, lambdaId, {});
    assert.ok([500, 503, 504, 507].includes(reply.statusCode), reply.text);
    const again = await callMain(villain.api, lambdaId, { well: true });
    assert.equal(again.statusCode, 200, again.text);
  });

  test('one that was brief, and then computes for ever, costs its account one runner, and after that isolates', async () => {
    const tenant = await host.account();
    const source = `export async function main(request: any) {
      if (!request.json.loop) return 'ok';
      console.log('about to loop');
      for (;;);
    }`;
    const lambdaId = await deploy(tenant.api, source);
    const killed = async (): Promise<number> =>
      Number(
        /runners_ended_total\{cause="cpu_limit"\} (\d+)/.exec((await host.operator.getMetrics()).text)?.[1] ??
          0,
      );
    const before = await killed();
    let loops = 0;
    const loop = async (): Promise<void> => {
      for (let i = 0; i < 150; i++) assert.equal((await callMain(tenant.api, lambdaId, { i })).json, 'ok');
      const reply = await callMain(tenant.api, lambdaId, { loop: true });
      const body = reply.json as { error_code: number; detail: string };
      assert.deepEqual([reply.statusCode, body.error_code], [504, 43002], reply.text);
      assert.match(body.detail, /cpu_ms is 1000/);
      assert.equal((await callMain(tenant.api, lambdaId, {})).json, 'ok');
      loops++;
    };
    // On a busy machine a call may have been longer than brief just then: such a loop costs an isolate only.
    while (loops < 5 && (await killed()) === before) await loop();
    assert.equal(await killed(), before + 1);
    await loop();
    assert.equal(await killed(), before + 1, 'the version may not hold its runner up again');
    const lines = (await tenant.api.getLogs({ lambdaId })).json.items.map(({ message }) => message);
    assert.equal(lines.filter((message) => message === 'about to loop').length, loops);
    const { total } = (await tenant.api.getUsage(tenant.accountId, {})).json;
    assert.ok(total.cpu_seconds >= 2, `${total.cpu_seconds} s of CPU billed`);
  });

  test('the bystander had no failed call', async () => {
    const { calls, failures } = await bystander.stop();
    assert.ok(calls > 100, `only ${calls} calls were made`);
    assert.deepEqual(failures, []);
  });
});

/** One call after another until it is stopped. */
function callAllTheWhile(
  api: LambdaApi,
  lambdaId: string,
): { stop: () => Promise<{ calls: number; failures: string[] }> } {
  const failures: string[] = [];
  let calls = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      const reply = await callMain(api, lambdaId, { n: calls });
      if (reply.statusCode !== 200 || (reply.json as { n: number }).n !== calls)
        failures.push(`${reply.statusCode} ${reply.text}`);
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await running;
      return { calls, failures };
    },
  };
}
