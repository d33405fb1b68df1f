/**
 * A TCP proxy before the real broker, to break connections in ways that a broker of another version, or a network,
 * would: it cuts, and it answers one method with a close of the broker's.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface Refusal {
  /** Of a method frame's payload (class, method, arguments): refuse the connection that sends it? */
  readonly when: (method: Buffer) => boolean;
  readonly code: number;
  readonly text: string;
}

export interface BrokerProxy {
  readonly url: string;
  /** Connections that are open. */
  readonly open: number;
  /** Methods that were refused. */
  readonly refused: number;
  /** Cuts all connections, as a network does. */
  cut(): void;
  /** Cuts them, and lets nobody in until `admit`. */
  lock(): void;
  admit(): void;
}

const FRAME_END = 0xce;
const METHOD = 1;
const GREETING_BYTES = 8;

export async function brokerProxy(
  t: TestContext,
  brokerUrl: string,
  refusal?: Refusal,
): Promise<BrokerProxy> {
  const target = new URL(brokerUrl);
  const sockets = new Set<Socket>();
  let refused = 0;
  let locked = false;
  const server = createServer((client) => {
    if (locked) return void client.destroy();
    const broker = connect(Number(target.port || 5672), target.hostname);
    const both = [client, broker];
    for (const socket of both) {
      sockets.add(socket.setNoDelay(true));
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        for (const each of both) each.destroy();
      });
    }
    broker.pipe(client);
    let rest: Buffer = Buffer.alloc(0);
    if (!refusal) {
      client.pipe(broker);
      return;
    }
    let greeted = false;
    client.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      if (!greeted && rest.length >= GREETING_BYTES) {
        greeted = true;
        broker.write(rest.subarray(0, GREETING_BYTES));
        rest = rest.subarray(GREETING_BYTES);
      }
      for (let frame = greeted ? nextFrame(rest) : undefined; frame; frame = nextFrame(rest)) {
        rest = frame.rest;
        if (frame.type !== METHOD || !refusal.when(frame.payload)) broker.write(frame.bytes);
        else {
          refused++;
          // Nothing of the broker's may come behind our close.
          broker.unpipe(client);
          client.write(closeFrame(refusal, frame.payload));
        }
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  t.after(() => {
    cut();
    server.close();
  });
  const url = new URL(brokerUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    get open() {
      return sockets.size / 2;
    },
    get refused() {
      return refused;
    },
    cut,
    lock: () => {
      locked = true;
      cut();
    },
    admit: () => (locked = false),
  };
}

function nextFrame(
  bytes: Buffer,
): { type: number; payload: Buffer; bytes: Buffer; rest: Buffer } | undefined {
  if (bytes.length < 7) return undefined;
  const size = bytes.readUInt32BE(3);
  if (bytes.length < size + 8) return undefined;
  return {
    type: bytes[0] ?? 0,
    payload: bytes.subarray(7, 7 + size),
    bytes: bytes.subarray(0, size + 8),
    rest: bytes.subarray(size + 8),
  };
}

/** `connection.close`: reply code, reply text, and the method that is to blame. */
function closeFrame({ code, text }: Refusal, blame: Buffer): Buffer {
  const words = Buffer.from(text).subarray(0, 255);
  const payload = Buffer.alloc(4 + 2 + 1 + words.length + 4);
  payload.writeUInt16BE(10, 0);
  payload.writeUInt16BE(50, 2);
  payload.writeUInt16BE(code, 4);
  payload.writeUInt8(words.length, 6);
  words.copy(payload, 7);
  blame.copy(payload, 7 + words.length, 0, 4);
  const head = Buffer.alloc(7);
  head.writeUInt8(METHOD, 0);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([FRAME_END])]);
}
