import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { Registry } from '../../src/registry/types.ts';
import { createAuthenticator } from '../../src/gateway/http/authenticator.ts';
import { ClientGone } from '../../src/gateway/http/client-gone.ts';
import { MOST_BEHIND } from '../../src/gateway/http/pipeline-bound.ts';
import { RefusalPacer } from '../../src/gateway/http/refusal-pacer.ts';
import { createHttpServer } from '../../src/gateway/http/server.ts';

interface Rig {
  readonly socket: Socket;
  /** Requests that arrived and have no reply yet. */
  readonly open: ServerResponse[];
  /** All that came back so far. */
  readonly received: () => string;
  /** Sends so many requests at once, the paths numbered on. */
  readonly send: (requests: number) => void;
  readonly arrived: (requests: number) => Promise<void>;
}

/** The host's HTTP server with an edge that answers when the test says, and one connection to it. */
async function rig(t: TestContext): Promise<Rig> {
  const open: ServerResponse[] = [];
  const app = createHttpServer({
    authenticator: createAuthenticator({ registry: {} as Registry, mode: 'token' }),
    lambdaEdge: (request, response) => {
      response.setHeader('x-path', request.url!);
      open.push(response);
      return true;
    },
    pacer: new RefusalPacer(Date.now, Math.random),
    headerBytes: 16 * 1024,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => {
    socket.destroy();
    return app.close();
  });
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(socket, 'connect');
  let sent = 0;
  return {
    socket,
    open,
    received: () => text,
    send: (requests) =>
      void socket.write(
        Array.from({ length: requests }, () => `GET /${sent++} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''),
      ),
    arrived: async (requests) => {
      while (open.length < requests) await new Promise((resolve) => setTimeout(resolve, 2));
    },
  };
}

const paths = (text: string): number[] =>
  [...text.matchAll(/x-path: \/(\d+)/g)].map(([, path]) => Number(path));

test('requests of one connection that do not wait for replies are served, in order, up to the bound', async (t) => {
  const { open, received, send, arrived } = await rig(t);
  const most = 1 + MOST_BEHIND;
  send(most);
  await arrived(most);
  for (const response of open.splice(0).toReversed()) response.end();
  while (paths(received()).length < most) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.deepEqual(
    paths(received()),
    Array.from({ length: most }, (_, path) => path),
  );
  // What was answered counts no more.
  send(most);
  await arrived(most);
});

test('one request more ends the connection, and no further one is served', { timeout: 20_000 }, async (t) => {
  const { socket, open, send } = await rig(t);
  send(2 * MOST_BEHIND);
  await once(socket, 'close');
  assert.equal(open.length, 1 + MOST_BEHIND);
});

test(
  'when a connection closes, every request on it hears of it, also those whose turn had not come',
  { timeout: 20_000 },
  async (t) => {
    const { socket, open, send, arrived } = await rig(t);
    send(3);
    await arrived(3);
    const gone = open.map((response) => new ClientGone(response));
    socket.destroy();
    while (!gone.every(({ aborted }) => aborted)) await new Promise((resolve) => setTimeout(resolve, 2));
  },
);
