/** Several real hosts on one PostgreSQL. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { LambdaApi } from '../src/client/index.ts';
import { startTestHost, type TestHost } from './host.ts';

export interface Reply {
  readonly status: number;
  readonly text: string;
}

export async function startHosts(
  url: string,
  count: number,
  flags: Readonly<Record<string, string>> = {},
): Promise<TestHost[]> {
  return Promise.all(
    Array.from({ length: count }, () =>
      startTestHost({ flags: { 'store-url': url, 'sandbox-spare-runners': '1', ...flags } }),
    ),
  );
}

export const apiOf = (host: TestHost, token: string): LambdaApi =>
  new LambdaApi({ origin: host.origin, api: 1, token });

/** `POST main` of a lambda on that host, whatever the answer is. */
export async function callOn(
  host: TestHost,
  token: string,
  lambdaId: string,
  body: unknown = {},
): Promise<Reply> {
  const reply = await fetch(`${host.origin}/1/lambdas/${lambdaId}/proxy/main`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: reply.status, text: await reply.text() };
}

/** Asks until it fits; how many milliseconds that took. */
export async function untilFits<T>(
  ask: () => Promise<T>,
  fits: (answer: T) => boolean,
  withinMs = 20_000,
): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const answer = await ask();
    const tookMs = performance.now() - startMs;
    if (fits(answer)) return tookMs;
    assert.ok(tookMs < withinMs, `after ${Math.round(tookMs)} ms it still is ${JSON.stringify(answer)}`);
    await sleep(10);
  }
}
