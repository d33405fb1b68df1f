import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hasWrk, runWrk } from './wrk.ts';

export interface Job {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Instead of `body`: a JSON document of about this many bytes. */
  readonly bodyBytes?: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly errors: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export const GENERATORS = ['wrk', 'autocannon'] as const;
/** What sends the load of the benchmarks with many connections: docs/decisions/load-generators.md. */
export type Generator = (typeof GENERATORS)[number];

export const defaultGenerator = (): Generator => (hasWrk() ? 'wrk' : 'autocannon');

/** Sends one job's load from another process, and reads its figures. */
export const load = (job: Job, generator: Generator): Promise<LoadResult> =>
  generator === 'wrk' ? runWrk(job) : runWorker('load-worker.ts', job);
export const latency = (job: Job): Promise<LoadResult> => runWorker('latency-worker.ts', job);

async function runWorker(file: string, job: Job): Promise<LoadResult> {
  const worker = fileURLToPath(new URL(file, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [worker, JSON.stringify(job)], {
    maxBuffer: 1024 * 1024,
  });
  return JSON.parse(stdout) as LoadResult;
}
