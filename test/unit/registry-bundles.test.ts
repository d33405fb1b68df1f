import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createBundles, packBundle, unpackBundle } from '../../src/registry/bundles.ts';

const bundleOf = (text: string, bytes: number): Uint8Array =>
  packBundle({ code: Buffer.alloc(bytes, text), map: Buffer.from('{}') });

describe('bundles', () => {
  test('code and map come back as they were packed; anything else is refused', () => {
    const packed = packBundle({ code: Buffer.from('code'), map: Buffer.from('map') });
    const { code, map } = unpackBundle(packed);
    assert.deepEqual([Buffer.from(code).toString(), Buffer.from(map).toString()], ['code', 'map']);
    assert.throws(() => unpackBundle(Buffer.from('ILB')), /unknown format/);
    assert.throws(() => unpackBundle(Buffer.from('PK\u0003\u0004 a zip')), /unknown format/);
    assert.throws(() => unpackBundle(packed.subarray(0, 9)), /cut short/);
  });

  test('one read serves all that ask at once, and the least recently used make room', async () => {
    const reads: string[] = [];
    const bundles = createBundles(
      { get: async (hash) => (reads.push(hash), bundleOf(hash, hash === 'huge' ? 5_000 : 300)) },
      1_000,
    );
    await Promise.all([bundles.load('a'), bundles.load('a'), bundles.load('a')]);
    assert.deepEqual(reads, ['a']);
    for (const hash of ['b', 'c', 'a', 'd', 'a', 'c']) await bundles.load(hash);
    // d pushed b out: a had been used since.
    assert.deepEqual(reads, ['a', 'b', 'c', 'd']);
    await bundles.load('b');
    assert.equal(reads.length, 5);
    assert.ok(bundles.heldBytes <= 1_000);
    await bundles.load('huge');
    await bundles.load('b');
    assert.equal(reads.length, 6, 'one larger than the cache leaves the others in it');
  });

  test('what was dropped takes no room, and is read again where somebody asks', async () => {
    const reads: string[] = [];
    const bundles = createBundles({ get: async (hash) => (reads.push(hash), bundleOf(hash, 300)) }, 1_000);
    await bundles.load('a');
    const alone = bundles.heldBytes;
    await bundles.load('b');
    bundles.drop('b');
    bundles.drop('b');
    bundles.drop('never there');
    assert.equal(bundles.heldBytes, alone);
    await bundles.load('a');
    await bundles.load('b');
    assert.deepEqual(reads, ['a', 'b', 'b']);
  });

  test('a read that failed is tried again', async () => {
    let broken = true;
    const bundles = createBundles(
      { get: async () => (broken ? Promise.reject(new Error('disk')) : bundleOf('a', 1)) },
      1_000,
    );
    await assert.rejects(bundles.load('a'), /disk/);
    broken = false;
    assert.equal((await bundles.load('a')).code.length, 1);
  });
});
