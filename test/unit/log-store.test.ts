import assert from 'node:assert/strict';
import { mkdtemp, rm, appendFile, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { LogLine } from '../../src/protocol/messages.ts';
import { createLogStore } from '../../src/services/log/log-store.ts';

const root = await mkdtemp(join(tmpdir(), 'isolambda-logs-'));
after(() => rm(root, { recursive: true }));
let folders = 0;
const freshDir = (): string => join(root, String((folders += 1)));
const line = (message: string, more: Partial<LogLine> = {}): LogLine => ({
  level: 'info',
  time: 1_000,
  message,
  ...more,
});

test('lines come back in order, numbered, and outlive the process', async () => {
  const dir = freshDir();
  const store = createLogStore({ dir });
  store.add('a', 3, { lines: [line('one'), line('two')], dropped: 0 });
  store.add('a', 4, { lines: [line('three')], dropped: 0 });
  await store.flush();
  const again = createLogStore({ dir });
  again.add('a', 4, { lines: [line('four')], dropped: 0 });
  await again.flush();
  const found = await again.query({ lambdaId: 'a' }, 10);
  assert.deepEqual(
    found.map(({ message, sequence, version }) => [message, sequence, version]),
    [
      ['one', 1, 3],
      ['two', 2, 3],
      ['three', 3, 4],
      ['four', 4, 4],
    ],
  );
});

test('filters by level, time, request and sequence; the limit keeps the newest', async () => {
  const store = createLogStore({ dir: freshDir() });
  store.add('a', 1, {
    lines: [
      line('d', { level: 'debug' }),
      line('w', { level: 'warning', time: 2_000, requestId: 'r1' }),
      line('e', { level: 'error', time: 3_000 }),
    ],
    dropped: 0,
  });
  await store.flush();
  const messages = async (filter: object, limit = 10): Promise<string> =>
    (await store.query({ lambdaId: 'a', ...filter }, limit)).map(({ message }) => message).join('');
  assert.equal(await messages({ level: 'warning' }), 'we');
  assert.equal(await messages({ fromMs: 2_000, toMs: 2_500 }), 'w');
  assert.equal(await messages({ requestId: 'r1' }), 'w');
  assert.equal(await messages({ after: 2 }), 'e');
  assert.equal(await messages({}, 2), 'we');
  assert.equal(await messages({ lambdaId: 'other' }), '');
});

test('the oldest lines go when the size limit is passed, and the disk holds no more than it', async () => {
  const dir = freshDir();
  const store = createLogStore({ dir });
  for (let n = 0; n < 200; n += 1) {
    store.add('a', 1, { lines: [line(`${n} ${'x'.repeat(100)}`)], dropped: 0 }, 8_000);
    await store.flush();
  }
  const found = await store.query({ lambdaId: 'a' }, 1_000);
  assert.ok(found.length > 10 && found.length < 100, `kept ${found.length}`);
  assert.ok(found.at(-1)!.message.startsWith('199 '));
  const sizes = await Promise.all(
    (await readdir(join(dir, 'a'))).map(async (name) => (await stat(join(dir, 'a', name))).size),
  );
  const bytes = sizes.reduce((sum, size) => sum + size);
  assert.ok(bytes <= 8_000 && bytes > 4_000, `${bytes} bytes on disk`);
});

test('what the disk can not take in time is dropped and counted in the log', async () => {
  const store = createLogStore({ dir: freshDir(), maxPendingBytes: 1_000 });
  store.add('a', 1, { lines: Array.from({ length: 50 }, () => line('x'.repeat(100))), dropped: 7 });
  await store.flush();
  const found = await store.query({ lambdaId: 'a' }, 100);
  const kept = found.filter(({ message }) => message.startsWith('x')).length;
  assert.ok(kept > 0 && kept < 50);
  assert.match(found.at(-1)!.message, new RegExp(`^${57 - kept} log lines were dropped`));
});

test('a line torn by a crash is passed over, and takes no other with it', async () => {
  const dir = freshDir();
  const store = createLogStore({ dir });
  store.add('a', 1, { lines: [line('whole')], dropped: 0 });
  await store.flush();
  await appendFile(join(dir, 'a', '1.ndjson'), '{"sequence":2,"mess');
  const again = createLogStore({ dir });
  const messages = async (): Promise<string[]> =>
    (await again.query({ lambdaId: 'a' }, 10)).map(({ message }) => message);
  assert.deepEqual(await messages(), ['whole']);
  again.add('a', 1, { lines: [line('next')], dropped: 0 });
  await again.flush();
  assert.deepEqual(await messages(), ['whole', 'next']);
});

test('a follower hears what matches, as it comes, until it leaves', async () => {
  const store = createLogStore({ dir: freshDir() });
  const heard: string[] = [];
  const leave = store.follow({ lambdaId: 'a', level: 'error' }, ({ message }) => heard.push(message));
  store.add('a', 1, { lines: [line('info'), line('bad', { level: 'error' })], dropped: 0 });
  await store.flush();
  leave();
  store.add('a', 1, { lines: [line('worse', { level: 'critical' })], dropped: 0 });
  await store.flush();
  assert.deepEqual(heard, ['bad']);
});

test('a larger limit keeps more, in segments that are no larger', async () => {
  const dir = freshDir();
  const store = createLogStore({ dir });
  const megabyte = line('x'.repeat(1024 * 1024));
  for (let n = 0; n < 12; n += 1) {
    store.add('a', 1, { lines: [megabyte], dropped: 0 }, 10 * 1024 * 1024);
    await store.flush();
  }
  const names = await readdir(join(dir, 'a'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(dir, 'a', name))).size));
  assert.ok(Math.max(...sizes) <= 2 * 1024 * 1024);
  assert.equal((await store.query({ lambdaId: 'a' }, 100)).length, 9);
});

test('under a flood the log says once a second how many lines it lost, and loses no count', async () => {
  let nowMs = 10_000;
  const lost: [number, string][] = [];
  const store = createLogStore({
    dir: freshDir(),
    now: () => nowMs,
    onDropped: (lines, reason) => lost.push([lines, reason]),
  });
  const told = async (): Promise<string[]> =>
    (await store.query({ lambdaId: 'a' }, 10_000))
      .map(({ message }) => message)
      .filter((m) => / dropped: /.test(m));
  for (let n = 0; n < 1_000; n += 1) {
    store.add('a', 1, { lines: [line('kept')], dropped: 3 });
    nowMs += 2;
    await store.query({ lambdaId: 'a' }, 1);
  }
  const before = await told();
  assert.ok(before.length >= 1 && before.length <= 3, `${before.length} remarks in two seconds`);
  await store.flush();
  const counts = (await told()).map((message) => Number(/^\d+/.exec(message)?.[0]));
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    3_000,
  );
  assert.deepEqual(new Set(lost.map(([, reason]) => reason)), new Set(['rate']));
});

test('what a deleted lambda still says is not kept', async () => {
  const dir = freshDir();
  const store = createLogStore({ dir });
  store.add('a', 1, { lines: [line('before')], dropped: 0 });
  await store.remove('a');
  store.add('a', 1, { lines: [line('from onShutdown')], dropped: 0 });
  await store.flush();
  assert.deepEqual(await readdir(dir), []);
});
