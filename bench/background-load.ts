import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Job } from './load.ts';

/**
 * A load beside the one that is measured. Its generator stands for another machine: it runs at the lowest priority, so that it is
 * the host that is measured and not the generator's own CPU.
 */
export function startBackgroundLoad(job: Job): ChildProcess {
  const worker = fileURLToPath(new URL('load-worker.ts', import.meta.url));
  // A session of its own: where the kernel groups tasks by session, priority counts between sessions.
  const child = spawn(process.execPath, [worker, JSON.stringify(job)], { stdio: 'ignore', detached: true });
  if (child.pid !== undefined) {
    setPriority(child.pid, constants.priority.PRIORITY_LOW);
    try {
      writeFileSync(`/proc/${child.pid}/autogroup`, String(constants.priority.PRIORITY_LOW));
    } catch {
      // This kernel does not group them.
    }
  }
  return child;
}

export async function endLoad(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
