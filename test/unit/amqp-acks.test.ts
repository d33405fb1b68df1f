import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Message } from 'amqplib';
import { AckWindow, type Verdict } from '../../src/gateway/amqp/acks.ts';

/** What a broker does with verdicts: it closes the channel over a tag that is not open. */
class Tags {
  readonly frames: string[] = [];
  readonly ended = new Map<number, Verdict>();
  readonly #open: Set<number>;

  constructor(count: number) {
    this.#open = new Set(Array.from({ length: count }, (_, i) => i + 1));
  }

  get open(): number {
    return this.#open.size;
  }

  ack({ fields: { deliveryTag } }: Message, allUpTo = false): void {
    this.frames.push(`ack ${allUpTo ? '<=' : ''}${deliveryTag}`);
    if (!this.#open.has(deliveryTag)) throw new Error(`unknown delivery tag ${deliveryTag}`);
    for (const tag of [...this.#open])
      if (tag === deliveryTag || (allUpTo && tag < deliveryTag)) this.#end(tag, 'ack');
  }

  nack({ fields: { deliveryTag } }: Message, _allUpTo?: boolean, requeue = true): void {
    this.frames.push(`nack ${deliveryTag} ${requeue}`);
    if (!this.#open.has(deliveryTag)) throw new Error(`unknown delivery tag ${deliveryTag}`);
    this.#end(deliveryTag, requeue ? 'requeue' : 'reject');
  }

  #end(tag: number, verdict: Verdict): void {
    this.#open.delete(tag);
    this.ended.set(tag, verdict);
  }
}

test('a contiguous group is one frame', () => {
  const tags = new Tags(5);
  const window = new AckWindow(tags);
  for (const tag of [3, 1, 2, 4]) window.settle(tag, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, ['ack <=4']);
});

test('beyond a gap each goes by itself, and the gap is closed by one frame that names an open tag', () => {
  const tags = new Tags(5);
  const window = new AckWindow(tags);
  for (const tag of [2, 3]) window.settle(tag, 'ack');
  window.flush();
  for (const tag of [1, 4]) window.settle(tag, 'ack');
  window.flush();
  window.settle(5, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, ['ack 2', 'ack 3', 'ack <=4', 'ack <=5']);
});

test('a rejection is never swept up by an acknowledgement', () => {
  const tags = new Tags(3);
  const window = new AckWindow(tags);
  window.settle(1, 'ack');
  window.settle(2, 'reject');
  window.settle(3, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, ['ack <=1', 'nack 2 false', 'ack 3']);
});

test('a tag that needs no verdict does not hold up the others', () => {
  const tags = new Tags(3);
  const window = new AckWindow(tags);
  window.skip(1);
  for (const tag of [2, 3]) window.settle(tag, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, ['ack <=3']);
});

test('a turn of the event loop is one flush', async () => {
  const tags = new Tags(3);
  const window = new AckWindow(tags);
  for (const tag of [1, 2, 3]) window.settle(tag, 'ack');
  assert.deepEqual(tags.frames, []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(tags.frames, ['ack <=3']);
});

test('after the channel is gone nothing is sent, and a channel that closes meanwhile does not throw', () => {
  const tags = new Tags(2);
  const window = new AckWindow(tags);
  window.settle(1, 'ack');
  window.close();
  window.flush();
  window.settle(2, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, []);
  const closed = new AckWindow({
    ack: () => {
      throw new Error('Channel closed');
    },
    nack: () => undefined,
  });
  closed.settle(1, 'ack');
  closed.flush();
  assert.equal(closed.closed, true);
});

test('property: in any order, every tag gets its own verdict exactly once, and no frame names a closed tag', () => {
  const verdict = fc.constantFrom<Verdict>('ack', 'ack', 'ack', 'reject', 'requeue');
  const plan = fc.integer({ min: 1, max: 40 }).chain((count) =>
    fc.record({
      verdicts: fc.array(verdict, { minLength: count, maxLength: count }),
      order: fc.shuffledSubarray(
        Array.from({ length: count }, (_, i) => i + 1),
        { minLength: count, maxLength: count },
      ),
      flushAfter: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
    }),
  );
  fc.assert(
    fc.property(plan, ({ verdicts, order, flushAfter }) => {
      const tags = new Tags(order.length);
      const window = new AckWindow(tags);
      order.forEach((tag, i) => {
        window.settle(tag, verdicts[tag - 1] ?? 'ack');
        if (flushAfter[i]) window.flush();
      });
      window.flush();
      assert.equal(window.closed, false);
      assert.equal(tags.open, 0);
      verdicts.forEach((wanted, i) => assert.equal(tags.ended.get(i + 1), wanted));
    }),
  );
});
