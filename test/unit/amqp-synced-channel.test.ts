import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { HOLD_MS } from '../../src/gateway/amqp/hold.ts';
import { SyncedChannel } from '../../src/gateway/amqp/synced-channel.ts';

/** What goes to a broker, in its order; the test is the broker, and answers. */
class Wire extends EventEmitter {
  readonly frames: string[] = [];
  #asked: PromiseWithResolvers<void>[] = [];

  publish(routingKey: string): void {
    if (routingKey === 'no short string') throw new TypeError(routingKey);
    this.frames.push(routingKey);
  }

  prefetch(): Promise<void> {
    this.frames.push('?');
    const asked = Promise.withResolvers<void>();
    this.#asked.push(asked);
    this.emit('asked');
    return asked.promise;
  }

  async answer(): Promise<void> {
    this.#asked.shift()!.resolve();
    await turn();
  }

  close(): void {
    for (const { reject } of this.#asked.splice(0)) reject(new Error('Channel ended'));
    this.emit('close');
  }
}

function synced(mostHeld: number): {
  wire: Wire;
  done: string[];
  send: (key: string) => void;
  sync: () => void;
} {
  const wire = new Wire();
  const channel = new SyncedChannel(wire, mostHeld);
  const done: string[] = [];
  return {
    wire,
    done,
    send: (key) =>
      channel.publish(key, Buffer.alloc(0), {}, (error) =>
        done.push(error ? `${key}: ${error.message}` : key),
      ),
    sync: () => channel.sync(),
  };
}

test('the broker has what was published before the request that it answered, and of the rest nobody knows', async () => {
  const { wire, done, send } = synced(1);
  for (const key of ['a', 'b', 'c']) send(key);
  assert.deepEqual(wire.frames, ['a', 'b', '?', 'c']);
  assert.deepEqual(done, []);
  await wire.answer();
  assert.deepEqual(done, ['a', 'b']);
});

test('one request is under way at a time; the next is for all that came meanwhile', async () => {
  const { wire, done, send } = synced(0);
  for (const key of ['a', 'b', 'c', 'd']) send(key);
  await wire.answer();
  assert.deepEqual(wire.frames, ['a', '?', 'b', 'c', 'd', '?']);
  await wire.answer();
  assert.deepEqual(done, ['a', 'b', 'c', 'd']);
  assert.deepEqual(wire.frames, ['a', '?', 'b', 'c', 'd', '?'], 'nothing is left to ask for');
});

test('a few wait for others, but not for long, also where they came while a request was under way', async () => {
  const { wire, done, send, sync } = synced(10);
  send('a');
  send('b');
  await once(wire, 'asked');
  await wire.answer();
  send('c');
  sync();
  send('d');
  await wire.answer();
  await once(wire, 'asked');
  await wire.answer();
  assert.deepEqual(wire.frames, ['a', 'b', '?', 'c', '?', 'd', '?']);
  assert.deepEqual(done, ['a', 'b', 'c', 'd']);
});

test('a hold that ends while a request is under way holds up nothing that comes later', async () => {
  const { wire, done, send } = synced(1);
  for (const key of ['a', 'b', 'c']) send(key);
  // Longer than anything is held.
  await new Promise((resolve) => setTimeout(resolve, 2 * HOLD_MS));
  assert.deepEqual(wire.frames, ['a', 'b', '?', 'c']);
  await wire.answer();
  await once(wire, 'asked');
  await wire.answer();
  assert.deepEqual(done, ['a', 'b', 'c']);
});

test('when the channel closes, what it was not known to have brought is lost, each once and in order', async () => {
  const { wire, done, send } = synced(1);
  for (const key of ['a', 'b', 'c']) send(key);
  wire.close();
  await turn();
  assert.deepEqual(done, ['a: channel closed', 'b: channel closed', 'c: channel closed']);
});

test('what AMQP cannot hold is the sender’s error, and nobody is told of it later', async () => {
  const { wire, done, send } = synced(0);
  assert.throws(() => send('no short string'), TypeError);
  send('a');
  await wire.answer();
  assert.deepEqual(done, ['a']);
});
