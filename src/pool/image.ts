/**
 * The runner image: a folder that holds all that a runner process reads, and nothing else, so that a jail can
 * bind it read-only and `--permission` can name it. Built once by each host, into a folder of its own.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build, type BuildOptions } from 'esbuild';

export interface RunnerImage {
  /** Absolute path of the folder. */
  readonly dir: string;
  /** Absolute path of the script that Node starts: `<dir>/runner.cjs`. */
  readonly entry: string;
}

const HERE = fileURLToPath(import.meta.url);
/** `.ts` in the source tree, `.js` in the published one; both have `src` and `sandbox` side by side. */
const EXTENSION = extname(HERE);
const SANDBOX = join(dirname(HERE), '..', '..', 'sandbox');
const MAKE_CACHE = 'make-cache.cjs';

/**
 * Makes the runner image in `dir` (created where missing; files of an older image are overwritten).
 *
 * `nodeFlags` are the V8 flags that runners get besides `--no-node-snapshot`: V8 refuses a code cache that was
 * made under other flags, and the isolates then start slower. Rejects where the platform has no prebuilt isolated-vm.
 */
export async function buildRunnerImage(dir: string, nodeFlags: readonly string[] = []): Promise<RunnerImage> {
  await mkdir(dir, { recursive: true });
  await Promise.all([
    bundle('runner/main', join(dir, 'runner.cjs'), { platform: 'node', format: 'cjs' }),
    bundle('runner/make-cache', join(dir, MAKE_CACHE), { platform: 'node', format: 'cjs' }),
    bundleGuest(join(dir, 'guest.js')),
    copyFile(nativeModule(), join(dir, 'isolated_vm.node')),
  ]);
  await makeCodeCache(dir, nodeFlags);
  return { dir, entry: join(dir, 'runner.cjs') };
}

/**
 * The guest is one script whose value is its `boot` function: a `var` at the top would be a global that tenants see.
 * How its web APIs want to be bundled stands beside them; it is looked up by path, because the host imports nothing of
 * the sandbox's.
 */
async function bundleGuest(outfile: string): Promise<void> {
  const web = join(SANDBOX, 'guest', 'web');
  const { webBundleOptions } = (await import(pathToFileURL(join(web, `bundle${EXTENSION}`)).href)) as {
    webBundleOptions: (folder: string) => BuildOptions;
  };
  await bundle('guest/main', outfile, {
    ...webBundleOptions(web),
    format: 'iife',
    globalName: '__guest',
    // webidl-conversions reads a getter of SharedArrayBuffer's when it is first used, long after the global was removed.
    banner: { js: '(function () {\n"use strict"; const { SharedArrayBuffer } = globalThis;' },
    footer: { js: 'return __guest.boot;\n})()' },
  });
}

async function bundle(entry: string, outfile: string, options: BuildOptions): Promise<void> {
  await build({
    entryPoints: [join(SANDBOX, entry + EXTENSION)],
    outfile,
    bundle: true,
    target: 'es2024',
    logLevel: 'silent',
    legalComments: 'none',
    ...options,
  });
}

/** A process of its own makes the cache, so that no runner which ran a tenant's code ever writes what another reads. */
async function makeCodeCache(dir: string, nodeFlags: readonly string[]): Promise<void> {
  const script = join(dir, MAKE_CACHE);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--no-node-snapshot', ...nodeFlags, script],
    { env: {}, encoding: 'buffer', maxBuffer: 64 * 1024 * 1024, timeout: 30_000 },
  );
  await writeFile(join(dir, 'guest.cache'), stdout);
  await rm(script);
}

/** The prebuilt addon for this platform. Its package's own loader searches folders, which a jailed runner can't. */
function nativeModule(): string {
  const home = dirname(createRequire(HERE).resolve('isolated-vm/package.json'));
  const libc = process.platform === 'linux' ? (existsSync('/etc/alpine-release') ? '.musl' : '.glibc') : '';
  const path = join(
    home,
    'prebuilds',
    `${process.platform}-${process.arch}`,
    `isolated-vm.abi${process.versions.modules}${libc}.node`,
  );
  if (!existsSync(path)) {
    throw new Error(
      `isolated-vm has no prebuilt binary for Node ${process.version} on ${process.platform}-${process.arch}` +
        ' (looked for ' +
        path +
        '): run on Node 24, on Linux x64 or arm64, macOS arm64 or Windows x64',
    );
  }
  return path;
}
