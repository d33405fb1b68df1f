import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { openFileBlobs } from '../../src/store/file-blobs.ts';

async function root(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'isolambda-blobs-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const nothing = async (): Promise<Set<string>> => new Set();
const hello = Buffer.from('hello');
const helloHash = createHash('sha256').update(hello).digest('hex');

describe('blobs', () => {
  test('bytes come back by their hash, however often they were put', async (t) => {
    const dir = await root(t);
    const blobs = await openFileBlobs(dir);
    const put = await Promise.all([blobs.put(hello), blobs.put(hello), blobs.put(Buffer.alloc(0))]);
    assert.deepEqual(put.map(({ hash, bytes }) => [hash, bytes]).slice(0, 2), [
      [helloHash, 5],
      [helloHash, 5],
    ]);
    assert.deepEqual(await blobs.get(helloHash), hello);
    assert.equal((await blobs.get(put[2].hash)).length, 0);
    assert.deepEqual(await readdir(join(dir, 'incoming')), []);
  });

  test('a blob that is gone or damaged is an error, never wrong bytes', async (t) => {
    const dir = await root(t);
    const blobs = await openFileBlobs(dir);
    await blobs.put(hello);
    await writeFile(join(dir, helloHash.slice(0, 2), helloHash.slice(2)), 'jello');
    await assert.rejects(blobs.get(helloHash), /damaged/);
    await assert.rejects(blobs.get('0'.repeat(64)), /can't be read/);
    await assert.rejects(blobs.get('../../etc/passwd'), /no hash of a blob/);
  });

  test('one cut short is written whole by the next put', async (t) => {
    const dir = await root(t);
    const blobs = await openFileBlobs(dir);
    await mkdir(join(dir, helloHash.slice(0, 2)));
    await writeFile(join(dir, helloHash.slice(0, 2), helloHash.slice(2)), 'hel');
    await blobs.put(hello);
    assert.deepEqual(await blobs.get(helloHash), hello);
  });

  test('what a kill left half-written is removed at the next opening', async (t) => {
    const dir = await root(t);
    await mkdir(join(dir, 'incoming'));
    await writeFile(join(dir, 'incoming', 'abcdef'), 'half');
    await openFileBlobs(dir);
    assert.deepEqual(await readdir(join(dir, 'incoming')), []);
  });

  test('a sweep takes what nothing refers to, and leaves what is referred to or held', async (t) => {
    const blobs = await openFileBlobs(await root(t));
    const [kept, held, loose] = await Promise.all(
      ['kept', 'held', 'loose'].map((text) => blobs.put(Buffer.from(text))),
    );
    kept!.release();
    loose!.release();
    loose!.release();
    const all = [kept!.hash, held!.hash, loose!.hash];
    assert.equal(await blobs.sweep(all, async () => new Set([kept!.hash])), 1);
    assert.deepEqual(await Promise.all(all.map((hash) => blobs.has(hash))), [true, true, false]);
    held!.release();
    assert.equal(await blobs.sweep(all, async () => new Set([kept!.hash])), 1);
  });

  test('an upload that comes, commits and releases while a sweep asks for references keeps its blob', async (t) => {
    const blobs = await openFileBlobs(await root(t));
    (await blobs.put(hello)).release();
    const swept = await blobs.sweep([helloHash], async () => {
      // The same archive is uploaded again, its row committed, after the references were read.
      (await blobs.put(hello)).release();
      return new Set();
    });
    assert.equal(swept, 0);
    assert.deepEqual(await blobs.get(helloHash), hello);
  });

  test('an upload during the removal itself writes the blob anew', async (t) => {
    const blobs = await openFileBlobs(await root(t));
    (await blobs.put(hello)).release();
    for (let round = 0; round < 20; round += 1) {
      const [, put] = await Promise.all([blobs.sweep([helloHash], nothing), blobs.put(hello)]);
      assert.deepEqual(await blobs.get(helloHash), hello);
      put.release();
    }
  });
});
