import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWebIsolate } from './web-isolate.ts';

const isolate = await startWebIsolate();

test('digests of all lengths around a block are those of Node', async () => {
  const lengths = [0, 1, 3, 55, 56, 57, 63, 64, 65, 111, 112, 113, 127, 128, 129, 200, 1000, 70_000];
  await isolate.same(
    (sizes) =>
      Promise.all(
        sizes.map(async (size) => {
          const data = Uint8Array.from({ length: size }, (_, i) => (i * 31 + size) & 255);
          const hashes: unknown[] = [];
          for (const name of ['SHA-1', 'sha-256', { name: 'SHA-384' }, 'SHA-512']) {
            const hash = await crypto.subtle.digest(name, data);
            hashes.push([hash instanceof ArrayBuffer, [...new Uint8Array(hash)].join()]);
          }
          return hashes;
        }),
      ),
    lengths,
  );
});

test('HMAC signs and verifies as in Node, for keys shorter and longer than a block', async () => {
  await isolate.same(
    (sizes) =>
      Promise.all(
        sizes.map(async (size) => {
          const raw = Uint8Array.from({ length: size }, (_, i) => (i * 7 + 1) & 255);
          const message = new TextEncoder().encode(`message of ${size}`);
          const results: unknown[] = [];
          for (const hash of ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512']) {
            const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash }, true, [
              'verify',
              'sign',
            ]);
            const signature = await crypto.subtle.sign('HMAC', key, message);
            const wrong = new Uint8Array(signature.slice(0));
            wrong[0] = (wrong[0] ?? 0) ^ 1;
            results.push(
              [...new Uint8Array(signature)].join(),
              await crypto.subtle.verify('HMAC', key, signature, message),
              await crypto.subtle.verify({ name: 'hmac' }, key, wrong, message),
              await crypto.subtle.verify('HMAC', key, signature.slice(1), message),
              [...new Uint8Array(await crypto.subtle.exportKey('raw', key))].join(),
              await crypto.subtle.exportKey('jwk', key),
              [key.type, key.extractable, key.algorithm, key.usages],
            );
          }
          return results;
        }),
      ),
    [1, 20, 63, 64, 65, 128, 129, 300],
  );
});

test('keys come in as JSON Web Keys, and refuse what they are not for, as in Node', async () => {
  await isolate.same(async () => {
    const name = async (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => 'fine',
        (error: Error) => error.name,
      );
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const bytes = new Uint8Array([1, 2, 3]);
    const jwk = { kty: 'oct', k: 'AQID', alg: 'HS256' };
    const key = await crypto.subtle.importKey('jwk', jwk, hmac, false, ['sign']);
    const signature = [...new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes))];
    return [
      signature,
      await name(crypto.subtle.exportKey('raw', key)),
      await name(crypto.subtle.verify('HMAC', key, bytes, bytes)),
      await name(crypto.subtle.importKey('jwk', { ...jwk, alg: 'HS512' }, hmac, false, ['sign'])),
      await name(crypto.subtle.importKey('jwk', { ...jwk, kty: 'RSA' }, hmac, false, ['sign'])),
      await name(crypto.subtle.importKey('jwk', { ...jwk, ext: false }, hmac, true, ['sign'])),
      await name(crypto.subtle.importKey('raw', bytes, hmac, false, [])),
      await name(crypto.subtle.importKey('raw', new Uint8Array(0), hmac, false, ['sign'])),
      await name(crypto.subtle.importKey('raw', bytes, hmac, false, ['encrypt'])),
      await name(crypto.subtle.importKey('raw', bytes, 'no-such', false, ['sign'])),
      await name(crypto.subtle.digest('MD5', bytes)),
      await name(crypto.subtle.digest('SHA-256', 'text' as never)),
      Reflect.get(await crypto.subtle.generateKey(hmac, true, ['sign']), 'algorithm') as unknown,
    ];
  }, null);
});

test('random values fill any integer view, and refuse what Node refuses', async () => {
  await isolate.same(() => {
    const attempt = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return (error as Error).name;
      }
    };
    const bytes = new Uint8Array(64);
    const uuid = crypto.randomUUID();
    return [
      crypto.getRandomValues(bytes) === bytes,
      bytes.some((byte) => byte !== 0),
      crypto.getRandomValues(new BigUint64Array(2)).length,
      crypto.getRandomValues(new Uint8Array(0)).length,
      attempt(() => crypto.getRandomValues(new Float32Array(1) as never)),
      attempt(() => crypto.getRandomValues(new Uint8Array(65_537)).length),
      crypto.getRandomValues(new Uint8Array(65_536)).length,
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid),
      uuid !== crypto.randomUUID(),
      attempt(() => new (Crypto as object as new () => object)()),
      Object.prototype.toString.call(crypto),
      Object.prototype.toString.call(crypto.subtle),
    ];
  }, null);
});

test('random bytes keep inside the window of their view', async () => {
  const outside = await isolate.run(() => {
    const buffer = new Uint8Array(40);
    crypto.getRandomValues(new Uint32Array(buffer.buffer, 8, 4));
    return [
      buffer.slice(0, 8).some(Boolean),
      buffer.slice(24).some(Boolean),
      buffer.slice(8, 24).some(Boolean),
    ];
  }, null);
  assert.deepEqual(outside, [false, false, true]);
});
