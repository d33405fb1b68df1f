/**
 * The gateway with a handler that returns what it got: what isolambda adds to amqplib before any sandbox.
 * Arguments: URL, queue. Prints a line when it serves; ends when its input closes.
 */
import { QueueService } from '../src/gateway/amqp/service.ts';

const [url = '', queue = ''] = process.argv.slice(2);
const service = new QueueService({
  url,
  queue: { name: queue, kind: 'transient' },
  serve: ({ head, body }) =>
    Promise.resolve({ kind: 'reply', status: 200, headers: ['content-type', head.contentType], body }),
});
await service.start();
process.stdout.write('serving\n');
process.stdin.resume().on('end', () => void service.stop(1_000).then(() => process.exit(0)));
