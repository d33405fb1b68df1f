/** A server outside that lambdas call, and that a test can wait on. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Witness {
  readonly origin: string;
  /** `127.0.0.1:port`, as an egress rule names it. */
  readonly host: string;
  readonly seen: readonly Seen[];
  /** Connections that were ever opened. */
  readonly connections: () => number;
  /** Resolves with the first request whose path has this prefix, one that came already included. Rejects after a while. */
  saw(prefix: string): Promise<Seen>;
  close(): Promise<void>;
}

export type Answer = (seen: Seen, response: ServerResponse) => void;

const PATIENCE_MS = 20_000;

export async function startWitness(
  answer: Answer = (_seen, response) => void response.end('{}'),
): Promise<Witness> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let waiting: { prefix: string; resolve: (seen: Seen) => void }[] = [];
  const server = createServer((request, response) => {
    void collect(request).then((body) => {
      const { method = '', url = '', headers } = request;
      const one: Seen = { method, url, headers, body };
      seen.push(one);
      const told = waiting.filter(({ prefix }) => url.startsWith(prefix));
      waiting = waiting.filter((each) => !told.includes(each));
      for (const { resolve } of told) resolve(one);
      answer(one, response);
    });
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    seen,
    connections: () => connections,
    saw: (prefix) => {
      const before = seen.find(({ url }) => url.startsWith(prefix));
      if (before) return Promise.resolve(before);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`no request for ${prefix}; came: ${seen.map(({ url }) => url).join(', ')}`));
        }, PATIENCE_MS);
        waiting.push({ prefix, resolve: (one) => (clearTimeout(timer), resolve(one)) });
      });
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function collect(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
