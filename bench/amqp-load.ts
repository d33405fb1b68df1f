/**
 * Load of the amqp-echo bench: sends, checks each reply against its request, measures.
 * Arguments: URL, queue, calls, calls in flight. Prints one line of JSON.
 */
import { connect } from 'amqplib';

const [url = '', queue = '', callsText = '', inFlightText = ''] = process.argv.slice(2);
const calls = Number(callsText);
const inFlight = Number(inFlightText);
/** Not measured: connections, compilers and the broker's buffers warm up. */
const warmUp = Math.min(calls, inFlight * 20);

const connection = await connect(url, { noDelay: true });
const channel = await connection.createChannel();
const sentAt = new Float64Array(calls + warmUp);
const tookUs = new Float64Array(calls);
let sent = 0;
let done = 0;
let startedMs = 0;

const send = (): void => {
  const body = `hello ${String(sent % 100_000).padStart(5, '0')}`;
  sentAt[sent] = performance.now();
  channel.sendToQueue(queue, Buffer.from(body), {
    contentType: 'application/octet-stream',
    correlationId: String(sent++),
    replyTo: 'amq.rabbitmq.reply-to',
    // A server that is gone must not leave us waiting for its replies.
    mandatory: true,
  });
};
channel.on('return', () => {
  throw new Error(`nothing serves ${queue}`);
});

await channel.consume(
  'amq.rabbitmq.reply-to',
  (message) => {
    if (!message) throw new Error('the broker cancelled our consumer');
    const id = Number(message.properties.correlationId);
    const wanted = `hello ${String(id % 100_000).padStart(5, '0')}`;
    if (message.content.toString() !== wanted)
      throw new Error(`reply ${id} is ${message.content.toString()}, not ${wanted}`);
    if (id >= warmUp) tookUs[id - warmUp] = (performance.now() - (sentAt[id] ?? 0)) * 1_000;
    done++;
    if (done === warmUp) startedMs = performance.now();
    if (sent < calls + warmUp) send();
    if (done === calls + warmUp) void finish();
  },
  { noAck: true },
);
for (let i = 0; i < inFlight; i++) send();

async function finish(): Promise<void> {
  const seconds = (performance.now() - startedMs) / 1_000;
  tookUs.sort();
  const at = (share: number): number => Math.round(tookUs[Math.floor((calls - 1) * share)] ?? 0);
  process.stdout.write(
    `${JSON.stringify({ perSecond: calls / seconds, p50Us: at(0.5), p99Us: at(0.99) })}\n`,
  );
  await connection.close();
}
