/** What a host holds: memory, descriptors, processes, timers, files. */
import { readdir } from 'node:fs/promises';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { residentBytes, type TestHost } from '../host.ts';

export const HELD = [
  'residentMb',
  'heapMb',
  'descriptors',
  'children',
  'descendants',
  'timers',
  'temporaryFiles',
  'dataFiles',
] as const;
export type Held = Readonly<Record<(typeof HELD)[number], number>>;

const LOOK_EVERY_MS = 1_000;
/** For the host's environment: it then collects its garbage before each look. */
export const COLLECTS = `--import=${new URL('./collect-on-signal.ts', import.meta.url).href}`;

/** The least of several looks: garbage, a runner on its way out and an idle connection are not held. */
export async function heldBy(host: TestHost, temporary: string, looks: number): Promise<Held> {
  let least = await look(host, temporary);
  for (let left = looks - 1; left > 0; left -= 1) {
    await pause(LOOK_EVERY_MS);
    const now = await look(host, temporary);
    least = Object.fromEntries(HELD.map((key) => [key, Math.min(least[key], now[key])])) as Held;
  }
  return least;
}

async function look(host: TestHost, temporary: string): Promise<Held> {
  const pid = host.process.pid!;
  host.process.kill('SIGWINCH');
  const metrics = (await host.operator.getMetrics()).text;
  const metric = (name: string): number | undefined => {
    const line = metrics.split('\n').find((each) => each.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.split(' ')[1]);
  };
  const heapBytes = metric('nodejs_heap_size_used_bytes');
  if (heapBytes === undefined) throw new Error('the metrics have no nodejs_heap_size_used_bytes');
  const count = async (dir: string): Promise<number> =>
    (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;
  return {
    residentMb: residentBytes(host) / 1_048_576,
    heapMb: heapBytes / 1_048_576,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    children: childrenOf(pid).length,
    descendants: descendantsOf(pid),
    // There is no such line where there is none.
    timers: metric('nodejs_active_resources{type="Timeout"}') ?? 0,
    temporaryFiles: await count(temporary),
    dataFiles: await count(host.dataDir),
  };
}

/** Of all threads: whichever of them started a process is its parent. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function descendantsOf(pid: number): number {
  return childrenOf(pid).reduce((sum, child) => sum + 1 + descendantsOf(child), 0);
}
