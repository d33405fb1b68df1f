import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import AdmZip from 'adm-zip';
import { createBuilder, type BuilderOptions } from '../../src/archive/builder.ts';
import { writeZip } from '../../fixtures/broken/zip-writer.ts';
import { BuilderLost, BuilderProcess } from '../../src/archive/builder-process.ts';
import { makeBuilderImage } from '../../src/archive/builder-image.ts';
import { chooseBuilderJail } from '../../src/archive/builder-jail.ts';
import type { BuildRequest, Builder } from '../../src/archive/types.ts';
import { IsolambdaError } from '../../src/errors/error.ts';

const LIMITS = {
  archive_bytes: 20 << 20,
  unpacked_bytes: 100 << 20,
  archive_files: 5_000,
  bundle_bytes: 20 << 20,
};
const CONFIG: BuilderOptions['config'] = {
  jail: 'auto',
  buildTimeoutMs: 20_000,
  buildMemoryMb: 768,
  buildConcurrency: 2,
};
const said: string[] = [];
const keep = (...line: unknown[]): void => void said.push(JSON.stringify(line));
const log = { debug: keep, info: keep, warn: keep };
const HAS_BUBBLEWRAP = ['/usr/bin/bwrap', '/bin/bwrap'].some(existsSync);

const builders: Builder[] = [];
after(() => Promise.all(builders.map((builder) => builder.close())));
function start(config: Partial<BuilderOptions['config']> = {}, spares?: number): Builder {
  const builder = createBuilder({ config: { ...CONFIG, ...config }, log, spares });
  builders.push(builder);
  return builder;
}
function request(files: Record<string, string>): BuildRequest {
  const zip = new AdmZip();
  for (const [path, text] of Object.entries(files)) zip.addFile(path, Buffer.from(text));
  return { archive: zip.toBuffer(), type: 'standalone', limits: LIMITS };
}
/** Not packed, so that text which repeats itself is no bomb. */
const stored = (files: Record<string, string>): BuildRequest => ({
  archive: writeZip(Object.entries(files).map(([name, data]) => ({ name, data }))),
  type: 'standalone',
  limits: { ...LIMITS, archive_bytes: 100 << 20 },
});
const SIMPLE = request({
  'lambda_main.ts': 'export async function main(request: unknown) { return 1; }',
  'lambda_config.yml': 'a: 1',
});
const failsWith = (code: string, text: RegExp) => (thrown: unknown) => {
  assert.ok(thrown instanceof IsolambdaError, String(thrown));
  assert.equal(thrown.code, code);
  assert.match(thrown.message, text);
  return true;
};

/** Pids of all processes below this one, as the kernel lists them. */
function descendants(): number[] {
  const found: number[] = [];
  const open = [process.pid];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    for (const thread of list(`/proc/${pid}/task`))
      for (const child of text(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean)) {
        found.push(Number(child));
        open.push(Number(child));
      }
  }
  return found;
}
const list = (path: string): string[] => {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
};
const text = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};
const builderPids = (): number[] =>
  descendants().filter((pid) => text(`/proc/${pid}/cmdline`).includes('builder'));

/** Nests without brackets, which only the parser can count: Go's stack grows with it until the watch or Go itself says no. */
const deepInPackage = (depth: number): Record<string, string> => ({
  'lambda_main.ts': 'import "p"; export const main = () => 1;',
  'node_modules/p/index.js': `module.exports = ${'!'.repeat(depth)}1;`,
});

describe('a builder', { concurrency: false }, () => {
  for (const jail of ['auto', 'none'] as const) {
    it(`builds in a child process, with jail ${jail}`, async () => {
      const builder = start({ jail });
      const result = await builder.build(SIMPLE);
      assert.ok(result.ok, JSON.stringify(result));
      assert.deepEqual([result.bundle.handler, result.bundle.lambdaConfig], ['main', { a: 1 }]);
      assert.match(Buffer.from(result.bundle.code).toString(), /^\(function\(__isolambda\)/);
      const map = JSON.parse(Buffer.from(result.bundle.map).toString()) as { sources: string[] };
      assert.equal(map.sources.at(-1), 'lambda_main.ts');
      const refused = await builder.build(request({ 'lambda_main.ts': 'export const main = 1;' }));
      assert.deepEqual(
        refused.problems.map(({ rule, line }) => [rule, line]),
        [['main_kind', 1]],
      );
      const noZip = await builder.build({ ...SIMPLE, archive: randomBytes(1_000) });
      assert.deepEqual(
        noZip.problems.map(({ rule }) => rule),
        ['zip_not_a_zip'],
      );
      await builder.close();
    });
  }

  it('builds several at once, and lets the others wait', async () => {
    const builder = start({ buildConcurrency: 2 });
    const results = await Promise.all(Array.from({ length: 5 }, () => builder.build(SIMPLE)));
    assert.ok(results.every(({ ok }) => ok));
  });

  it('uses a child for one archive, after which it is gone', async () => {
    const image = await makeBuilderImage();
    try {
      const child = new BuilderProcess(
        await chooseBuilderJail({ image, mode: 'none', memoryMb: CONFIG.buildMemoryMb }),
      );
      await child.ready;
      assert.ok((await child.build(SIMPLE, CONFIG.buildMemoryMb)).ok);
      assert.equal(child.alive, false);
      await child.gone;
      await assert.rejects(child.build(SIMPLE, CONFIG.buildMemoryMb), BuilderLost);
    } finally {
      await image.remove();
    }
  });

  it('ends a build that takes too long, naming the limit', async () => {
    const builder = start({ buildTimeoutMs: 100 });
    const slow = request({
      'lambda_main.ts': `export const main = () => 1;\n${'const a = (b, c) => ({ b, c: [b, c] });\n'.repeat(300_000)}`,
    });
    await assert.rejects(builder.build(slow), failsWith('build_failed', /100 ms \(build\.timeout_ms\)/));
  });

  it('ends a build that takes too much memory, naming the limit, and goes on', async () => {
    const builder = start({ buildMemoryMb: 250 });
    const packages = Array.from({ length: 20 }, (_, i) => `p${i}`);
    const large = stored({
      'lambda_main.ts': `${packages.map((name) => `import "${name}";`).join('\n')}\nexport const main = () => 1;`,
      ...Object.fromEntries(
        packages.map((name) => [
          `node_modules/${name}/index.js`,
          `exports.a = [${'{a:[1,"b"],c:x=>x},'.repeat(100_000)}];`,
        ]),
      ),
    });
    await assert.rejects(builder.build(large), failsWith('build_failed', /memory/));
    assert.ok((await builder.build(SIMPLE)).ok);
  });

  it('survives code that nests too deep for esbuild', async () => {
    const builder = start({ buildMemoryMb: 250 });
    await assert.rejects(
      builder.build(stored(deepInPackage(8_000_000))),
      failsWith('build_failed', /memory|nested too deep/),
    );
    assert.ok((await builder.build(SIMPLE)).ok);
  });

  it('calls a build off when it is told to, waiting or running', async () => {
    const builder = start({ buildConcurrency: 1 });
    const abort = new AbortController();
    const reason = new Error('the client went away');
    const running = builder.build(
      request({ 'lambda_main.ts': `${'const a = [1, 2, 3];\n'.repeat(150_000)}` }),
      abort.signal,
    );
    const waiting = builder.build(SIMPLE, abort.signal);
    abort.abort(reason);
    await assert.rejects(running, (thrown) => thrown === reason);
    await assert.rejects(waiting, (thrown) => thrown === reason);
    await assert.rejects(builder.build(SIMPLE, abort.signal), (thrown) => thrown === reason);
    assert.ok((await builder.build(SIMPLE)).ok);
  });

  it('outlives the death of its spare children', async () => {
    const builder = start({ jail: 'none' }, 2);
    assert.ok((await builder.build(SIMPLE)).ok);
    for (const pid of builderPids()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It was just ending by itself.
      }
    }
    const result = await builder.build(SIMPLE).catch((thrown: unknown) => thrown);
    if (result instanceof IsolambdaError) assert.equal(result.code, 'build_failed');
    assert.ok((await builder.build(SIMPLE)).ok);
  });

  it('leaves no process and no file when it is closed, even at once', async () => {
    await Promise.all(builders.splice(0).map((builder) => builder.close()));
    const idle = createBuilder({ config: CONFIG, log });
    await idle.close();
    const busy = createBuilder({ config: CONFIG, log });
    const pending = busy.build(SIMPLE).catch((thrown: unknown) => thrown);
    await Promise.all([busy.close(), busy.close()]);
    const end = await pending;
    assert.ok(end instanceof IsolambdaError, String(end));
    await assert.rejects(busy.build(SIMPLE), failsWith('draining', /shutting down/));
    assert.deepEqual(builderPids(), []);
  });
});

describe('the jail of a builder', { skip: HAS_BUBBLEWRAP ? false : 'bubblewrap is not installed' }, () => {
  it('shows neither files of the machine, nor its network, processes or environment', async () => {
    const image = await makeBuilderImage();
    try {
      const jail = await chooseBuilderJail({ image, mode: 'bubblewrap', memoryMb: 768 });
      assert.equal(jail.kind, 'bubblewrap');
      const child = jail.spawn();
      // Node in the jail shows itself: look from outside at what its root holds.
      await new Promise((resolve) => (child.stdio[3] as NodeJS.ReadableStream).once('data', resolve));
      const inner = descendantsOf(child.pid!).find((pid) =>
        text(`/proc/${pid}/cmdline`).startsWith('/bin/node'),
      );
      assert.ok(inner !== undefined);
      assert.deepEqual(
        readdirSync(`/proc/${inner}/root`)
          .filter((item) => !/^lib/.test(item))
          .sort(),
        ['bin', 'builder', 'dev', 'usr'].filter((item) => existsSync(`/proc/${inner}/root/${item}`)),
      );
      assert.deepEqual(readdirSync(`/proc/${inner}/root/bin`).sort(), ['esbuild', 'node']);
      assert.ok(!existsSync(`/proc/${inner}/root/etc`) && !existsSync(`/proc/${inner}/root/proc/1`));
      const interfaces = text(`/proc/${inner}/net/dev`)
        .split('\n')
        .slice(2)
        .map((line) => line.split(':')[0]?.trim())
        .filter(Boolean);
      assert.ok(
        interfaces.every((item) => item === 'lo'),
        String(interfaces),
      );
      const names = text(`/proc/${inner}/environ`)
        .split('\0')
        .map((item) => item.split('=')[0])
        .filter(Boolean);
      assert.deepEqual(names.sort(), ['ESBUILD_BINARY_PATH', 'GOMEMLIMIT', 'PWD']);
      process.kill(-child.pid!, 'SIGKILL');
      await new Promise((resolve) => child.once('close', resolve));
    } finally {
      await image.remove();
    }
  });
  function descendantsOf(root: number): number[] {
    const found = [root];
    for (const pid of found)
      for (const thread of list(`/proc/${pid}/task`))
        found.push(...text(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number));
    return found;
  }
});

it('bubblewrap that was asked for, and is not there, is a configuration error', async () => {
  const path = process.env.PATH;
  process.env.PATH = '/nowhere';
  const builder = createBuilder({ config: { ...CONFIG, jail: 'bubblewrap' }, log, spares: 0 });
  try {
    await assert.rejects(builder.build(SIMPLE), failsWith('configuration', /bubblewrap does not work here/));
  } finally {
    process.env.PATH = path;
    await builder.close();
  }
  assert.equal(execFileSync(process.execPath, ['-p', '1']).toString().trim(), '1');
});
