import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Job } from './load.ts';

/**
 * A load beside the one that is measured. Its generator stands for another machine: it runs at the lowest priority, so that it is
 * the host that is measured and not the generator's own CPU.
 */
export function startBackgroundLoad(job: Job): ChildProcess {
  const worker = fileURLToPath(new URL('load-worker.ts', import.meta.url));
  const child = execFile(process.execPath, [worker, JSON.stringify(job)], () => {});
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return child;
}

export async function endLoad(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
