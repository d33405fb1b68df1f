import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Message } from 'amqplib';
import { AckWindow, type Verdict } from '../../src/gateway/amqp/acks.ts';
import { HOLD_MS } from '../../src/gateway/amqp/hold.ts';

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
  const window = new AckWindow(tags, 400);
  for (const tag of [3, 1, 2, 4]) window.settle(tag, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, ['ack <=4']);
});

test('beyond a gap each goes by itself, and the gap is closed by one frame that names an open tag', () => {
  const tags = new Tags(5);
  const window = new AckWindow(tags, 400);
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
  const window = new AckWindow(tags, 400);
  window.settle(1, 'ack');
  window.settle(2, 'reject');
  window.settle(3, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, ['ack <=1', 'nack 2 false', 'ack 3']);
});

test('a tag that needs no verdict does not hold up the others', () => {
  const tags = new Tags(3);
  const window = new AckWindow(tags, 400);
  window.skip(1);
  for (const tag of [2, 3]) window.settle(tag, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, ['ack <=3']);
});

test('an acknowledgement waits for others: until they are more than an eighth of the prefetch, or for 5 ms', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  const tags = new Tags(8);
  const window = new AckWindow(tags, 16);
  window.settle(1, 'ack');
  window.settle(2, 'ack');
  t.mock.timers.tick(HOLD_MS - 1);
  assert.deepEqual(tags.frames, []);
  t.mock.timers.tick(1);
  assert.deepEqual(tags.frames, ['ack <=2']);
  for (const tag of [3, 4, 5]) window.settle(tag, 'ack');
  assert.deepEqual(tags.frames, ['ack <=2'], 'not before the turn has ended');
  t.mock.timers.tick(0);
  assert.deepEqual(tags.frames, ['ack <=2', 'ack <=5']);
  t.mock.timers.tick(100);
  assert.equal(tags.frames.length, 2);
  window.settle(6, 'ack');
  t.mock.timers.tick(HOLD_MS - 1);
  assert.equal(tags.frames.length, 2);
  t.mock.timers.tick(1);
  assert.deepEqual(tags.frames.at(-1), 'ack <=6');
});

test('a rejection goes at the end of the turn, and what waits goes with it; so does all where the prefetch is small', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  const tags = new Tags(3);
  const window = new AckWindow(tags, 400);
  window.settle(1, 'ack');
  window.settle(2, 'requeue');
  t.mock.timers.tick(0);
  assert.deepEqual(tags.frames, ['ack <=1', 'nack 2 true']);
  const few = new Tags(1);
  new AckWindow(few, 7).settle(1, 'ack');
  t.mock.timers.tick(0);
  assert.deepEqual(few.frames, ['ack <=1']);
});

test('after the channel is gone nothing is sent, and a channel that closes meanwhile does not throw', () => {
  const tags = new Tags(2);
  const window = new AckWindow(tags, 400);
  window.settle(1, 'ack');
  window.close();
  window.flush();
  window.settle(2, 'ack');
  window.flush();
  assert.deepEqual(tags.frames, []);
  const closed = new AckWindow(
    {
      ack: () => {
        throw new Error('Channel closed');
      },
      nack: () => undefined,
    },
    400,
  );
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
      const window = new AckWindow(tags, 400);
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
