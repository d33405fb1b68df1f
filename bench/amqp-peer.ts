/**
 * The peer of the amqp-echo bench: an echo on amqplib alone, as its users write one. No limits, no sandbox, no confirms.
 * Arguments: URL, queue, and `wall` where each body is to go through a process of its own first (bench/echo-wall.ts). Prints a line when it serves; ends on SIGTERM.
 */
import { connect } from 'amqplib';
import { openWall } from './echo-wall.ts';

const [url = '', queue = '', wall] = process.argv.slice(2);
/** Hands a body back, at once or from behind the wall. */
const pass = wall === 'wall' ? openWall() : (body: Buffer, onBack: (body: Buffer) => void) => onBack(body);
const consuming = await connect(url, { noDelay: true });
const publishing = await connect(url, { noDelay: true });
const from = await consuming.createChannel();
const to = await publishing.createChannel();
await from.assertQueue(queue, { durable: false, autoDelete: true });
await from.prefetch(1000);
await from.consume(queue, (message) => {
  if (!message) return;
  const { replyTo, correlationId, contentType } = message.properties as Record<
    'replyTo' | 'correlationId' | 'contentType',
    string
  >;
  pass(message.content, (body) => {
    to.sendToQueue(replyTo, body, { correlationId, contentType });
    from.ack(message);
  });
});
process.stdout.write('serving\n');
