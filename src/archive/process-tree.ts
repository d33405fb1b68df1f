import { readFileSync, readdirSync } from 'node:fs';

/**
 * Resident memory of a process and all below it, in bytes, without what is mapped from files (the programs themselves, which
 * all builders share). 0 where it is gone, or where there is no /proc.
 */
export function treeMemory(pid: number): number {
  let total = 0;
  const open = [pid];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [, resident = 0, shared = 0] = numbers(`/proc/${next}/statm`);
    total += Math.max(0, resident - shared) * PAGE_BYTES;
    for (const thread of list(`/proc/${next}/task`))
      open.push(...numbers(`/proc/${next}/task/${thread}/children`));
  }
  return total;
}

/** Of x64 and most arm64 systems; larger pages make the watch stricter only where the kernel says so in smaps. */
const PAGE_BYTES = pageBytes();

function pageBytes(): number {
  const size = /^KernelPageSize:\s+(\d+) kB/m.exec(text('/proc/self/smaps'))?.[1];
  return size === undefined ? 4096 : Number(size) * 1024;
}

const numbers = (path: string): number[] =>
  text(path)
    .split(/\s+/)
    .filter((item) => item !== '')
    .map(Number);

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
