import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';
import { startChild } from './child.ts';

export interface Server {
  readonly origin: string;
  stop(): Promise<void>;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export async function startFastify(): Promise<Server> {
  const child = await startChild(process.execPath, [here('peers/fastify.ts')]);
  return { origin: child.firstLine, stop: () => child.stop() };
}

/** workerd from npm, which says on its control descriptor which port it got. */
export async function startWorkerd(): Promise<Server> {
  const binary = (createRequire(import.meta.url)('workerd') as { default: string }).default;
  const child = await startChild(binary, ['serve', '--control-fd=3', here('peers/workerd.capnp')], {
    controlFd: true,
  });
  const { port } = JSON.parse(child.firstLine) as { port: number };
  return { origin: `http://127.0.0.1:${port}`, stop: () => child.stop() };
}
