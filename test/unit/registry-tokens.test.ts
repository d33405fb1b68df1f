import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { query } from '../postgres.ts';
import { DIALECTS, openRegistry } from '../registry.ts';

const CODE = (code: string) => ({ code });

for (const dialect of DIALECTS)
  describe(`tokens, ${dialect}`, () => {
    test('a token is who its account is, until it is revoked; then at once, and after a restart, nobody', async (t) => {
      const { registry, reopen } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const { token, info } = await registry.createToken({ accountId, scopes: ['invoke', 'read', 'read'] });
      assert.match(token, /^isl_[\w-]{43}$/);
      assert.deepEqual(registry.authenticate(token), {
        accountId,
        operator: false,
        scopes: new Set(['invoke', 'read']),
      });
      const other = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
      for (const wrong of ['', 'isl_', other, `${token} `, token.slice(4), 'x'.repeat(100_000)])
        assert.equal(registry.authenticate(wrong), undefined, wrong.slice(0, 60));

      const again = (await reopen()).registry;
      assert.equal(again.authenticate(token)?.accountId, accountId);
      const revoked = await again.revokeToken(accountId, info.id);
      assert.equal(again.authenticate(token), undefined);
      assert.deepEqual(
        await again.revokeToken(accountId, info.id),
        revoked,
        'a second revocation changes nothing',
      );
      assert.deepEqual(await again.tokens(accountId), [revoked]);
      assert.equal((await reopen()).registry.authenticate(token), undefined);
    });

    test('a token expires at its time, not before', async (t) => {
      const { registry, clock } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const expiresAt = clock.time + 1_000;
      const { token } = await registry.createToken({ accountId, scopes: ['read'], expiresAt });
      clock.time = expiresAt - 1;
      assert.equal(registry.authenticate(token)?.accountId, accountId);
      clock.time = expiresAt;
      assert.equal(registry.authenticate(token), undefined);
      clock.time = expiresAt - 1;
      assert.equal(registry.authenticate(token), undefined, 'a clock that goes back does not bring it back');
      await assert.rejects(
        registry.createToken({ accountId, scopes: ['read'], expiresAt: clock.time }),
        CODE('bad_request'),
      );
    });

    test('its text is nowhere in the store', async (t) => {
      const { registry, store, url } = await openRegistry(t, { dialect });
      const { id: accountId } = await registry.createAccount({ name: 'acme' });
      const { token } = await registry.createToken({ accountId, scopes: ['read'] });
      const kept =
        url === ''
          ? await Promise.all(
              ['isolambda.db', 'isolambda.db-wal'].map((file) => readFile(join(store.dataDir, file))),
            )
          : (await query(url, 'select tokens::text as row from tokens')).rows.map(({ row }) => String(row));
      assert.ok(kept.some((text) => text.includes(accountId)));
      assert.ok(!kept.some((text) => text.includes(token.slice(4))));
    });

    test('an account can neither see nor revoke the token of another', async (t) => {
      const { registry } = await openRegistry(t, { dialect });
      const [one, two] = [
        await registry.createAccount({ name: '1' }),
        await registry.createAccount({ name: '2' }),
      ];
      const { token, info } = await registry.createToken({ accountId: one.id, scopes: ['admin'] });
      assert.deepEqual(await registry.tokens(two.id), []);
      await assert.rejects(registry.revokeToken(two.id, info.id), CODE('token_not_found'));
      await assert.rejects(registry.revokeToken(null, info.id), CODE('token_not_found'));
      assert.equal(registry.authenticate(token)?.accountId, one.id);
      await assert.rejects(
        registry.createToken({ accountId: 'nobody', scopes: ['read'] }),
        CODE('account_not_found'),
      );
      await assert.rejects(registry.createToken({ accountId: one.id, scopes: [] }), CODE('bad_request'));
    });

    test("the operator's token is made once, kept private, and made anew where its file is gone or wrong", async (t) => {
      const { registry, store, reopen } = await openRegistry(t, { dialect });
      const file = join(store.dataDir, 'operator.token');
      await registry.ensureOperatorToken(file);
      const first = (await readFile(file, 'utf8')).trim();
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.deepEqual(registry.authenticate(first)?.operator, true);

      const again = (await reopen()).registry;
      await again.ensureOperatorToken(file);
      assert.equal((await readFile(file, 'utf8')).trim(), first);

      for (const spoil of [() => rm(file), () => writeFile(file, 'isl_nonsense')]) {
        const before = (await readFile(file, 'utf8')).trim();
        await spoil();
        await again.ensureOperatorToken(file);
        const next = (await readFile(file, 'utf8')).trim();
        assert.equal(again.authenticate(next)?.operator, true);
        assert.equal(again.authenticate(before), undefined);
      }
    });
  });
