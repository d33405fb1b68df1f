import { randomBytes } from 'node:crypto';
import type { RpcClient } from '../client/rpc.ts';
import { Unroutable } from '../client/rpc-errors.ts';

export interface EchoLoad {
  readonly client: RpcClient;
  readonly queue: string;
  readonly count: number;
  readonly inFlight: number;
  readonly payloadBytes: number;
  readonly json: boolean;
  readonly tracing: boolean;
  readonly onProgress: (done: number) => void;
}

export interface EchoReport {
  readonly right: number;
  readonly wrong: number;
  readonly failed: number;
  readonly firstError?: string | undefined;
  readonly seconds: number;
  readonly perSecond: number;
  readonly latencyMs: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly max: number;
  };
}

const PROGRESS_EVERY = 500;

/** Keeps `inFlight` calls under way until `count` are done; each request differs from its neighbours, and each reply is compared with its own. */
export async function runEchoLoad({
  client,
  queue,
  count,
  inFlight,
  payloadBytes,
  json,
  tracing,
  onProgress,
}: EchoLoad): Promise<EchoReport> {
  const latencies = new Float64Array(count);
  let [next, done, right, wrong, failed, measured] = [0, 0, 0, 0, 0, 0];
  let firstError: unknown;
  const started = performance.now();

  const one = async (n: number): Promise<void> => {
    const sent = payloadOf(n, payloadBytes);
    const begin = performance.now();
    try {
      const headers = tracing
        ? { traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01` }
        : undefined;
      const got = await client.call(queue, json ? { n, text: sent.toString() } : sent, { headers });
      latencies[measured++] = performance.now() - begin;
      if (json ? isSame(got, n, sent.toString()) : got instanceof Uint8Array && sent.equals(got)) right += 1;
      else {
        wrong += 1;
        firstError ??= new Error(`call ${n} came back changed`);
      }
    } catch (error) {
      // Nothing serves the queue: the other calls would all fail the same way.
      if (error instanceof Unroutable) {
        next = count;
        throw error;
      }
      failed += 1;
      firstError ??= error;
    }
    done += 1;
    if (done % PROGRESS_EVERY === 0) onProgress(done);
  };
  const worker = async (): Promise<void> => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, worker));

  const seconds = (performance.now() - started) / 1_000;
  const sorted = latencies.subarray(0, measured).sort();
  const at = (share: number): number => sorted[Math.min(measured - 1, Math.floor(share * measured))] ?? 0;
  return {
    right,
    wrong,
    failed,
    firstError: firstError instanceof Error ? firstError.message : undefined,
    seconds,
    perSecond: right / seconds,
    latencyMs: { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) },
  };
}

/** The number of the call, repeated up to the wanted length. */
function payloadOf(n: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, `${n.toString(36).padStart(6, '0')}.`);
}

const isSame = (got: unknown, n: number, text: string): boolean =>
  typeof got === 'object' && got !== null && 'n' in got && got.n === n && 'text' in got && got.text === text;
