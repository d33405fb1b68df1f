/** One connection, one request at a time, timed in microseconds: autocannon counts in whole milliseconds. */
import { Client } from 'undici';
import { percentile } from './statistics.ts';
import type { Job, LoadResult } from './load.ts';

const job = JSON.parse(process.argv[2]!) as Job;
const url = new URL(job.url);
const client = new Client(url.origin, { pipelining: 1 });
const times: number[] = [];
let errors = 0;
const endMs = performance.now() + job.seconds * 1_000;
while (performance.now() < endMs) {
  const start = performance.now();
  const reply = await client.request({
    path: url.pathname,
    method: 'POST',
    headers: job.headers,
    body: job.body ?? '',
  });
  await reply.body.dump();
  times.push((performance.now() - start) * 1_000);
  if (reply.statusCode !== 200) errors += 1;
}
await client.close();
const warm = times.slice(Math.min(200, Math.floor(times.length / 4)));
const report: LoadResult = {
  perSecond: times.length / job.seconds,
  errors,
  p50Us: percentile(warm, 0.5),
  p99Us: percentile(warm, 0.99),
};
console.log(JSON.stringify(report));
