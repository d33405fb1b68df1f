/** What may be open when a host is told to end, and must not hold it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { callMain, deploy, startTestHost } from '../host.ts';

for (const [what, bytes] of [
  ['a connection that never said anything', ''],
  ['half a request', 'POST /1/lambdas HTTP/1.1\r\nHost: x\r\nContent-Le'],
  ['a body that does not come', 'POST /1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{'],
] as const)
  test(`${what} does not hold a shutdown longer than the grace time`, async () => {
    const host = await startTestHost({ flags: { 'shutdown-grace-ms': '300' } });
    let socket: Socket | undefined;
    try {
      socket = connect(Number(new URL(host.origin).port), '127.0.0.1');
      socket.on('error', () => undefined).resume();
      const closed = once(socket, 'close');
      await once(socket, 'connect');
      socket.write(bytes);
      // A request behind it: the host has taken the connection by now.
      await host.operator.getHealth();
      assert.equal(await host.stop(), 0);
      assert.doesNotMatch(host.errorText(), /did not end in time/);
      await closed;
    } finally {
      socket?.destroy();
      await host.stop();
    }
  });

test('SIGTERM under load: whatever was accepted is answered, lambdas end properly, and nothing counted is lost', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-drain-'));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const host = await startTestHost({ dataDir });
  t.after(() => host.kill());
  const { accountId, token, api } = await host.account({ rate_per_s: 10_000, account_rate_per_s: 10_000 });
  const lambdaId = await deploy(
    api,
    `export const main = () => new Promise((resolve) => setTimeout(resolve, 20, { at: 1 }));
export class UserCtx { async onShutdown() { console.log('ended properly'); } }`,
  );
  const load = startLoad(`${host.origin}/1/lambdas/${lambdaId}/proxy/main`, token);
  await load.answered(300);
  assert.equal(await host.stop(), 0, host.errorText());
  const { answered, refused, failures } = await load.end();
  assert.deepEqual(failures, []);
  assert.ok(refused > 0, 'the load went on after the host had ended');
  t.diagnostic(`${answered} answered, ${refused} refused after the end`);

  const again = await startTestHost({ dataDir });
  t.after(() => again.kill());
  const { json: usage } = await again.operator.getUsage(accountId);
  assert.equal(usage.total.invocations, answered);
  const { items } = (await again.operator.getLogs({ lambdaId })).json;
  assert.deepEqual(
    items.map(({ message }) => message),
    ['ended properly'],
  );
  await again.stop();
});

test('with shutdown.delay_ms a host serves on while it says that it is not ready', async (t) => {
  const host = await startTestHost({ flags: { 'shutdown-delay-ms': '4000' } });
  t.after(() => host.kill());
  const stopped = host.stop();
  for (;;) if ((await host.operator.getReadiness()).statusCode === 503) break;
  const { statusCode } = await host.operator.createAccount({ name: 'late' });
  assert.equal(statusCode, 201);
  assert.equal(await stopped, 0);
});

test('a second signal ends it at once, whatever is in flight', async (t) => {
  const host = await startTestHost({ flags: { 'shutdown-grace-ms': '600000', 'log-level': 'info' } });
  t.after(() => host.kill());
  const { api } = await host.account();
  const lambdaId = await deploy(
    api,
    `export const main = () => new Promise((resolve) => { console.log('in flight'); setTimeout(resolve, 25_000); });`,
  );
  const follower = api.followLogs({ lambdaId, after: 0 });
  const call = callMain(api, lambdaId).catch((error: unknown) => error);
  await follower.next();
  await follower.return();
  host.process.kill('SIGTERM');
  await host.says(/draining/);
  assert.equal(await host.stop(), 1);
  assert.match(host.errorText(), /second signal/);
  assert.ok((await call) instanceof Error);
});

/** 500 requests a second over kept connections, until it is ended. */
function startLoad(url: string, token: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 100 });
  const open = new Set<Promise<void>>();
  let answered = 0;
  let refused = 0;
  const failures: string[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const send = (): Promise<void> =>
    new Promise((resolve) => {
      const sent = request(url, { method: 'POST', agent, headers: { authorization: `Bearer ${token}` } });
      const failed = (error: Error & { code?: string }): void => {
        // Nobody listens any more: such a request was never accepted.
        if (error.code === 'ECONNREFUSED') refused += 1;
        else failures.push(`${error.code} ${error.message}${sent.reusedSocket ? ' (kept connection)' : ''}`);
        resolve();
      };
      sent.on('error', failed);
      sent.on('response', (response) => {
        response.resume().on('error', failed);
        response.on('end', () => {
          if (response.statusCode === 200) answered += 1;
          else failures.push(`status ${response.statusCode}`);
          for (const { count, resolve: reached } of waiting) if (answered >= count) reached();
          resolve();
        });
      });
      sent.end('{}');
    });
  const timer = setInterval(() => {
    for (let n = 0; n < 5; n += 1) {
      const one = send().finally(() => open.delete(one));
      open.add(one);
    }
  }, 10);
  return {
    answered: (count: number) => new Promise<void>((resolve) => waiting.push({ count, resolve })),
    async end() {
      clearInterval(timer);
      await Promise.all(open);
      agent.destroy();
      return { answered, refused, failures };
    },
  };
}
