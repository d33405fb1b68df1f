/**
 * The peer of the amqp-echo bench: an echo on amqplib alone, as its users write one. No limits, no sandbox, no confirms.
 * Arguments: URL, queue. Prints a line when it serves; ends on SIGTERM.
 */
import { connect } from 'amqplib';

const [url = '', queue = ''] = process.argv.slice(2);
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
  to.sendToQueue(replyTo, message.content, { correlationId, contentType });
  from.ack(message);
});
process.stdout.write('serving\n');
