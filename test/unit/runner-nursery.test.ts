import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type IsolatedVm from 'isolated-vm';
import ivm from 'isolated-vm';
import { Nursery } from '../../sandbox/runner/nursery.ts';

const all: IsolatedVm.Isolate[] = [];
// isolated-vm aborts a process that ends while isolates are there, or on their way out.
after(async () => {
  for (const isolate of all) if (!isolate.isDisposed) isolate.dispose();
  await pause(100);
});

/** A nursery whose isolates are noted as they are made; its guest's script tells by a global that it has run. */
function nursery(source = 'globalThis.ran = true; (function boot() {})'): {
  readonly nursery: Nursery;
  readonly made: readonly IsolatedVm.Isolate[];
} {
  const made: IsolatedVm.Isolate[] = [];
  const Isolate = new Proxy(ivm.Isolate, {
    construct(target, args) {
      const isolate = Reflect.construct(target, args) as IsolatedVm.Isolate;
      made.push(isolate);
      all.push(isolate);
      return isolate;
    },
  });
  const parts = { ivm: { ...ivm, Isolate }, guest: { source, cache: undefined } };
  return { nursery: new Nursery(parts, (reason) => assert.fail(reason)), made };
}

test('the first isolate is the one that was made ahead, with the guest’s script run in it, and no second one is', async () => {
  const { nursery: from, made } = nursery();
  from.prepare(16);
  assert.equal(made.length, 1);
  const first = from.take(16, false);
  assert.equal(first.isolate, made[0]);
  const { context } = await first.open();
  assert.equal(await context.eval('ran'), true);
  const second = from.take(16, false);
  assert.notEqual(second.isolate, first.isolate);
  assert.equal(made.length, 2);
});

test('a lambda with another heap, or one that is profiled, gets an isolate of its own, and the other goes', () => {
  for (const [memoryMb, inspector] of [
    [32, false],
    [16, true],
  ] as const) {
    const { nursery: from, made } = nursery();
    from.prepare(16);
    const fresh = from.take(memoryMb, inspector);
    assert.equal(fresh.memoryMb, memoryMb);
    assert.deepEqual(
      made.map(({ isDisposed }) => isDisposed),
      [true, false],
    );
  }
});

test('where making one ahead fails, the next is made anew, and fails by itself', async () => {
  const { nursery: from, made } = nursery('throw new Error("no guest")');
  from.prepare(16);
  await assert.rejects(from.take(16, false).open(), /no guest/);
  from.prepare(16);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const fresh = from.take(16, false);
  assert.notEqual(fresh.isolate, made[1]);
  await assert.rejects(fresh.open(), /no guest/);
});

test('no isolate has less than the eight MiB that V8 needs', () => {
  const { nursery: from } = nursery();
  from.prepare(1);
  const fresh = from.take(2, false);
  assert.equal(fresh.memoryMb, 8);
});
