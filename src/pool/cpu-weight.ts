import { readdirSync, writeFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

/** What a process gets of a processor that others want too: `yielding` about a tenth of what `usual` does. */
export type CpuWeight = 'usual' | 'yielding';

/** Added to the host's own nice value, with which its runners begin. */
const NICE: Readonly<Record<CpuWeight, number>> = { usual: 0, yielding: 10 };

/**
 * Weighs a process and all of its threads. A runner is a session of its own, and where the kernel groups tasks by session
 * (sched(7), "The autogroup feature"), the group's nice value is what counts, and anybody may set and reset it for their
 * own. Elsewhere, as in a cgroup with a weight of its own, it is that of each thread, which only some may lower again: who may
 * not leaves it, for a runner that computed once would be slow for good. False where it must be tried again.
 */
export function weigh(pid: number, weight: CpuWeight): boolean {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(NICE[weight]));
  } catch (error) {
    // The kernel lets those without privileges change a group ten times a second.
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
  }
  if (!mayRaise()) return true;
  try {
    const nice = Math.min(constants.priority.PRIORITY_LOW, getPriority(process.pid) + NICE[weight]);
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), nice);
  } catch {
    // It ended meanwhile.
  }
  return true;
}

let raises: boolean | undefined;
/** Whether this process may make another's nice value smaller: found by its own. */
function mayRaise(): boolean {
  if (raises !== undefined) return raises;
  const own = getPriority(process.pid);
  try {
    setPriority(process.pid, Math.max(constants.priority.PRIORITY_HIGHEST, own - 1));
    setPriority(process.pid, own);
    raises = true;
  } catch {
    raises = false;
  }
  return raises;
}
