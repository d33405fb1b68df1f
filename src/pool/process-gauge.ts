import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { weigh, type CpuWeight } from './cpu-weight.ts';

export interface ProcessReading {
  /** State of the main thread, as ps(1) names it: R, S, D, T, Z. */
  readonly state: string;
  /** User and system time of all threads, in milliseconds; counted in steps of 10. */
  readonly cpuMs: number;
  readonly threads: number;
  readonly residentBytes: number;
}

/** What the pool must know of a process, and may do to it. */
export interface Gauge {
  /** Undefined when the process is gone. */
  read(): ProcessReading | undefined;
  /** False when the process is gone, or out of reach. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): boolean;
  /** Its share of a processor that others want too; false where it must be tried again. */
  weigh(weight: CpuWeight): boolean;
  close(): void;
}

/** USER_HZ: 100 on every Linux that Node runs on. */
const MS_PER_TICK = 10;
const PAGE_BYTES = pageBytes();

function pageBytes(): number {
  try {
    const kib = /^KernelPageSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps', 'utf8'))?.[1];
    return kib === undefined ? 4096 : Number(kib) * 1024;
  } catch {
    return 4096;
  }
}

/**
 * Opens `/proc/<pid>/stat` once. The open file stands for this process, not for its number: after its end a read fails, even
 * where the number is another's by then, so nobody else is measured or signalled. Undefined where there is no `/proc`.
 *
 * Resident memory includes the pages of the Node binary that are mapped in, some 45 MiB that all runners share.
 */
export function openGauge(pid: number): Gauge | undefined {
  let file: number;
  try {
    file = openSync(`/proc/${pid}/stat`, 'r');
  } catch {
    return undefined;
  }
  let open = true;
  const buffer = Buffer.alloc(1024);
  const read = (): ProcessReading | undefined => {
    if (!open) return undefined;
    try {
      return parseStat(buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, 0)));
    } catch {
      return undefined;
    }
  };
  const isThere = (): boolean => {
    const now = read();
    return now !== undefined && now.state !== 'Z';
  };
  return {
    read,
    weigh: (weight) => !isThere() || weigh(pid, weight),
    signal(name) {
      if (!isThere()) return false;
      try {
        return process.kill(pid, name);
      } catch {
        return false;
      }
    },
    close() {
      if (open) closeSync(file);
      open = false;
    },
  };
}

/** proc(5): the name is in parentheses and may hold spaces and parentheses, so fields count from the last one. */
export function parseStat(text: string): ProcessReading | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const at = (number: number): number => Number(fields[number - 3]);
  const reading = {
    state: fields[0] ?? '',
    cpuMs: (at(14) + at(15)) * MS_PER_TICK,
    threads: at(20),
    residentBytes: at(24) * PAGE_BYTES,
  };
  return Number.isFinite(reading.cpuMs) && Number.isFinite(reading.residentBytes) ? reading : undefined;
}
