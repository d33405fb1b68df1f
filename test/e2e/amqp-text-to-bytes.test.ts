/** The sibling examples of the seed's runtime, served as their author would: by module path, on the queues that they name. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LambdaError } from '../../src/client/rpc.ts';
import { client, newQueueName } from '../integration/amqp-serving.ts';
import { startRun } from '../run-process.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/amqp/text-to-bytes-by-value/', import.meta.url));

for (const module of ['text_to_bytes', 'text_to_bytes_asyncio'])
  test(`${module}: 5,000 characters in a JSON request, base64 bytes in the reply`, async (t) => {
    const run = await startRun(t, { cwd: FOLDER, args: [module], queue: newQueueName() });
    const rpc = client(t, run.url);
    const texts = Array.from({ length: 20 }, () =>
      randomUUID().repeat(150).concat('äöü€😀\0"\\\n').slice(-5_000),
    );
    const replies = await Promise.all(texts.map((text) => rpc.call(run.queue, { text })));
    for (const [i, text] of texts.entries()) {
      const bytes = Buffer.from(text);
      assert.deepEqual(replies[i], { bytes: bytes.toString('base64'), length: bytes.length });
    }
    await assert.rejects(
      rpc.call(run.queue, { no: 'text' }),
      (error) => error instanceof LambdaError && error.handled && error.errorType === 'TextMissing',
    );
    assert.equal((await run.stop()).code, 0);
  });
