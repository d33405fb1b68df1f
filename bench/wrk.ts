import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Job, LoadResult } from './load.ts';

export function hasWrk(): boolean {
  try {
    execFileSync('wrk', ['-v'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    // It says its version with exit code 1.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** One thread of wrk, for the job's time. Connections are kept; errors are replies above 399 and what broke or timed out. */
export async function runWrk(job: Job): Promise<LoadResult> {
  const folder = await mkdtemp(join(tmpdir(), 'isolambda-wrk-'));
  const script = join(folder, 'job.lua');
  try {
    await writeFile(script, scriptOf(job));
    const args = ['-t1', `-c${job.connections}`, `-d${job.seconds}`, '-s', script, job.url];
    const { stdout } = await promisify(execFile)('wrk', args, { maxBuffer: 1024 * 1024 });
    const said = stdout.split('\n').find((line) => line.startsWith('{'));
    if (said === undefined) throw new Error(`wrk said no result: ${stdout}`);
    return JSON.parse(said) as LoadResult;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const scriptOf = ({ headers, body = '', bodyBytes }: Job): string => `
wrk.method = "POST"
wrk.body = ${bodyBytes === undefined ? luaText(body) : `'{"data":"' .. string.rep("x", ${bodyBytes - 11}) .. '"}'`}
${Object.entries(headers)
  .map(([name, value]) => `wrk.headers[${luaText(name)}] = ${luaText(value)}`)
  .join('\n')}
done = function(summary, latency)
  local broken = summary.errors
  local errors = broken.connect + broken.read + broken.write + broken.status + broken.timeout
  print(string.format('{"perSecond":%f,"errors":%d,"p50Us":%d,"p99Us":%d}',
    (summary.requests - broken.status) / (summary.duration / 1e6), errors, latency:percentile(50), latency:percentile(99)))
end
`;

/** Printable ASCII stands for itself in Lua's quotes, as all of these texts are. */
const luaText = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
