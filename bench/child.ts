import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Child {
  readonly process: ChildProcess;
  /** The first line of standard output. */
  readonly firstLine: string;
  stop(): Promise<void>;
}

/** Starts a server that prints where it listens, and waits for that line. */
export async function startChild(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; stdio?: 'inherit' | 'ignore'; controlFd?: boolean } = {},
): Promise<Child> {
  const child = spawn(command, args, {
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', options.stdio ?? 'ignore', ...(options.controlFd ? (['pipe'] as const) : [])],
  });
  const source = options.controlFd ? (child.stdio[3] as NodeJS.ReadableStream) : child.stdout!;
  const lines = createInterface({ input: source });
  const [firstLine] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(([code]) =>
      Promise.reject(new Error(`${command} exited with ${String(code)} before it listened`)),
    ),
  ])) as [string];
  child.stdout?.resume();
  return {
    process: child,
    firstLine,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
