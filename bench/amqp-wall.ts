/**
 * The peer of the amqp-echo bench with a process behind it: each body goes to a child and comes back before it is replied. No jail, no
 * limits, no isolate and no check: what any server pays that keeps foreign code out of its own process.
 * Arguments: URL, queue. Prints a line when it serves; ends on SIGTERM.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { connect, type ConsumeMessage } from 'amqplib';

const CHANNEL_FD = 3;
const [url = '', queue = ''] = process.argv.slice(2);
if (url === 'child') echo();
else await serve();

/** In the child: what comes goes back, in its order. */
function echo(): void {
  const parent = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  parent.on('data', (bytes) => parent.write(bytes));
}

async function serve(): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, 'child'], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const wall = child.stdio[CHANNEL_FD] as Socket;
  const consuming = await connect(url, { noDelay: true });
  const publishing = await connect(url, { noDelay: true });
  const from = await consuming.createChannel();
  const to = await publishing.createChannel();
  /** Behind the wall; the first is answered first. */
  const behind: ConsumeMessage[] = [];
  let answered: Buffer = Buffer.alloc(0);

  wall.on('data', (bytes: Buffer) => {
    answered = answered.length === 0 ? bytes : Buffer.concat([answered, bytes]);
    for (let next = behind[0]; next && answered.length >= next.content.length; next = behind[0]) {
      const body = answered.subarray(0, next.content.length);
      answered = answered.subarray(body.length);
      behind.shift();
      reply(next, body);
    }
  });
  const reply = (message: ConsumeMessage, body: Buffer): void => {
    const { replyTo, correlationId, contentType } = message.properties as Record<
      'replyTo' | 'correlationId' | 'contentType',
      string
    >;
    to.sendToQueue(replyTo, body, { correlationId, contentType });
    from.ack(message);
  };

  await from.assertQueue(queue, { durable: false, autoDelete: true });
  await from.prefetch(1000);
  await from.consume(queue, (message) => {
    if (!message) return;
    behind.push(message);
    wall.write(message.content);
  });
  process.stdout.write('serving\n');
  await once(process, 'SIGTERM');
  child.kill('SIGKILL');
  process.exit();
}
