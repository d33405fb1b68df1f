/** The load generator, in a process of its own: reads one job as JSON from its argument, prints the result as JSON. */
import autocannon from 'autocannon';
import type { Job, LoadResult } from './load.ts';

const job = JSON.parse(process.argv[2]!) as Job;
const body = job.body ?? Buffer.alloc(0).toString();
const result = await autocannon({
  url: job.url,
  method: 'POST',
  connections: job.connections,
  duration: job.seconds,
  headers: job.headers,
  body: job.bodyBytes === undefined ? body : JSON.stringify({ data: 'x'.repeat(job.bodyBytes - 11) }),
});
const seconds = result.duration;
const report: LoadResult = {
  perSecond: result['2xx'] / seconds,
  errors: result.errors + result.non2xx,
  p50Us: result.latency.p50 * 1_000,
  p99Us: result.latency.p99 * 1_000,
};
console.log(JSON.stringify(report));
