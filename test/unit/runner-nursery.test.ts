import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Seen } from './runner-nursery-child.ts';

let seen: Seen;
before(() => {
  const child = fileURLToPath(new URL('runner-nursery-child.ts', import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-node-snapshot', child], { encoding: 'utf8' });
  assert.match(stdout, /^\{/, stderr);
  seen = JSON.parse(stdout) as Seen;
});

test('the first isolate is the one that was made ahead, with the guest’s script run in it, and no second one is', () => {
  assert.deepEqual(seen.first, { isAhead: true, ran: true });
  assert.deepEqual(seen.second, { isAhead: false, made: 2 });
});

test('a lambda with another heap, or one that is profiled, gets an isolate of its own, and the other goes', () => {
  assert.deepEqual(seen.others, [
    { memoryMb: 32, disposed: [true, false] },
    { memoryMb: 16, disposed: [true, false] },
  ]);
});

test('where making one ahead fails, the next is made anew, and fails by itself', () => {
  assert.deepEqual(seen.broken, ['no guest', 'no guest']);
  assert.equal(seen.brokenIsAhead, false);
});

test('no isolate has less than the eight MiB that V8 needs', () => {
  assert.equal(seen.leastMb, 8);
});
