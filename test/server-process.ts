/** Servers that a test file starts for itself: they end with it, however it ends. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 60_000;
const STOP_MS = 20_000;

export interface ServerOrder {
  /** For messages: `RabbitMQ`. */
  readonly name: string;
  readonly command: string;
  readonly args?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** What ends it in order. */
  readonly endBy: 'TERM' | 'INT';
  readonly answers: () => Promise<boolean>;
  /** How to get one that works. */
  readonly how: string;
}

/** The server ends when its input does: so it does not outlive a test process that was killed. */
const TIED_TO_US = (signal: string): string =>
  `"$0" "$@" </dev/null & server=$!; exec 3<&0; (cat <&3 >/dev/null; kill -s ${signal} $server) & wait $server`;

/** Resolves once it answers. */
export async function launchServer(order: ServerOrder): Promise<ChildProcess> {
  const { name, command, args = [], env, cwd, uid, gid } = order;
  const server = spawn('/bin/sh', ['-c', TIED_TO_US(order.endBy), command, ...args], {
    env,
    cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  server.stdin.on('error', () => undefined);
  let output = '';
  const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4_000));
  server.stdout.on('data', keep);
  server.stderr.on('data', keep);
  for (const endMs = Date.now() + START_MS; Date.now() < endMs; await sleep(100)) {
    if (server.exitCode !== null) break;
    if (await order.answers()) return server;
  }
  await endServer(name, server);
  throw new Error(`${name} did not start:\n${output}\n${order.how}`);
}

export async function endServer(name: string, server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exit = once(server, 'exit');
  server.stdin?.end();
  const ended = await Promise.race([exit, sleep(STOP_MS, undefined, { ref: false })]);
  if (ended === undefined) throw new Error(`${name} (below process ${server.pid}) does not stop`);
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
