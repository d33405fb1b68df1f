/** An account that has nothing to do with the attacks: its lambda is called all the while, and the host's loop is watched. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { callMain, type TestHost } from '../host.ts';
import type { LambdaApi } from '../../src/client/index.ts';

export interface Witness {
  readonly calls: number;
  readonly failures: readonly string[];
  /** Longest time that the host's event loop did not turn, its waits for a processor taken off; milliseconds. */
  readonly blockedMs: number;
  /** The same with those waits, which the machine's other work causes. */
  readonly delayedMs: number;
}

export interface Bystander {
  stop(): Promise<Witness>;
}

const CALL_EVERY_MS = 10;
const LOOK_EVERY_MS = 200;

export function startBystander(host: TestHost, api: LambdaApi, lambdaId: string): Bystander {
  const failures: string[] = [];
  let calls = 0;
  let stopped = false;
  let blockedMs = 0;
  let delayedMs = 0;

  async function callOnAndOn(): Promise<void> {
    while (!stopped) {
      try {
        const reply = await callMain(api, lambdaId, { n: calls });
        if (reply.statusCode !== 200 || (reply.json as { n?: number }).n !== calls)
          failures.push(`${reply.statusCode} ${reply.text}`);
      } catch (error) {
        failures.push(String(error));
        if (host.process.exitCode !== null || host.process.signalCode !== null) return;
      }
      calls += 1;
      await pause(CALL_EVERY_MS);
    }
  }

  async function watchTheLoop(): Promise<void> {
    await longestDelayMs(host);
    let waited = waitedMs(host);
    while (!stopped) {
      await pause(LOOK_EVERY_MS);
      if (host.process.exitCode !== null || host.process.signalCode !== null) return;
      const delay = await longestDelayMs(host);
      const waitedNow = waitedMs(host);
      delayedMs = Math.max(delayedMs, delay);
      blockedMs = Math.max(blockedMs, delay - (waitedNow - waited));
      waited = waitedNow;
    }
  }

  const running = Promise.all([callOnAndOn(), watchTheLoop()]);
  return {
    async stop() {
      stopped = true;
      await running;
      return { calls, failures, blockedMs, delayedMs };
    },
  };
}

/** Since it was last asked. */
async function longestDelayMs(host: TestHost): Promise<number> {
  const { text } = await host.operator.getMetrics();
  const value = /^isolambda_event_loop_delay_max_seconds (\S+)$/m.exec(text)?.[1];
  if (value === undefined) throw new Error('the metrics have no isolambda_event_loop_delay_max_seconds');
  return Number(value) * 1_000;
}

/** How long the host's main thread was ready to run and had no processor, so far. */
function waitedMs({ process: { pid } }: TestHost): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
}
