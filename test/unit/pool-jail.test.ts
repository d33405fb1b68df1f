import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { IsolambdaError } from '../../src/errors/error.ts';
import { chooseJail } from '../../src/pool/choose-jail.ts';
import type { BubblewrapJail, OuterUser } from '../../src/pool/jail.ts';
import { parseLdd } from '../../src/pool/libraries.ts';
import { createPool } from '../../src/pool/pool.ts';
import { poolParts } from '../scripted-runner/pool.ts';

const parts = { image: { dir: '/image', entry: '/image/runner.cjs' } };

/** bubblewrap that fails for the users named. */
const bubblewrap =
  (failures: Partial<Record<OuterUser, string>>) =>
  (_: unknown, user: OuterUser): Promise<BubblewrapJail> =>
    Promise.resolve({
      kind: 'bubblewrap',
      reason: `works as ${user}`,
      spawn: () => assert.fail('not in this test'),
      probe: () => Promise.resolve(failures[user]),
    });

describe('the choice of a jail', () => {
  it('is bubblewrap where Node boots in it, as nobody first', async () => {
    const jail = await chooseJail(parts, {
      mode: 'auto',
      production: true,
      root: true,
      makeBubblewrap: bubblewrap({}),
    });
    assert.deepEqual([jail.kind, jail.reason], ['bubblewrap', 'works as nobody']);
  });

  it('is bubblewrap as the same user where nobody can not', async () => {
    const makeBubblewrap = bubblewrap({ nobody: 'no user namespaces' });
    const jail = await chooseJail(parts, { mode: 'auto', production: true, root: true, makeBubblewrap });
    assert.equal(jail.reason, 'works as same');
  });

  it('says why there is none where it does not work', async () => {
    const makeBubblewrap = bubblewrap({ same: 'setting up uid map: Permission denied' });
    const jail = await chooseJail(parts, { mode: 'auto', production: false, root: false, makeBubblewrap });
    assert.equal(jail.kind, 'none');
    assert.match(jail.reason, /bubblewrap does not work here: setting up uid map: Permission denied/);
  });

  for (const choice of [
    { mode: 'auto', production: true },
    { mode: 'bubblewrap', production: false },
  ] as const)
    it(`refuses to start where it does not work: ${JSON.stringify(choice)}`, async () => {
      const makeBubblewrap = () => Promise.reject(new Error('bubblewrap (bwrap) is not installed'));
      await assert.rejects(chooseJail(parts, { ...choice, root: false, makeBubblewrap }), (error) => {
        assert.ok(error instanceof IsolambdaError);
        assert.equal(error.code, 'configuration');
        assert.match(error.message, /bwrap\) is not installed/);
        assert.match(error.message, /Install bubblewrap/);
        return true;
      });
    });

  it('is none where the operator says so, in production too', async () => {
    const makeBubblewrap = () => assert.fail('asked');
    const jail = await chooseJail(parts, { mode: 'none', production: true, makeBubblewrap });
    assert.equal(jail.kind, 'none');
  });
});

it('a pool in production that finds no bubblewrap does not start, and leaves nothing', async () => {
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    const pool = createPool(poolParts({ config: { jail: 'auto' }, production: true }));
    await assert.rejects(
      pool.start(),
      (error) => error instanceof IsolambdaError && error.code === 'configuration',
    );
    assert.deepEqual(pool.runners(), []);
  } finally {
    process.env.PATH = path;
  }
});

describe('what ldd says', () => {
  it('becomes the paths of libraries, the loader among them', () => {
    const text = `\tlinux-vdso.so.1 (0x00007f8ea5249000)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f8ea4f20000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f8ea524b000)\n`;
    assert.deepEqual(parseLdd(text, 'x'), ['/lib/x86_64-linux-gnu/libm.so.6', '/lib64/ld-linux-x86-64.so.2']);
  });
  it('is nothing for a static program', () => assert.deepEqual(parseLdd('\tstatically linked\n', 'x'), []));
  it('is an error where a library is missing', () =>
    assert.throws(
      () => parseLdd('\tlibfoo.so => not found\n', '/bin/x'),
      /ldd says of \/bin\/x: libfoo.so => not found/,
    ));
});
