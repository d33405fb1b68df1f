/** A real pool whose runners are the scripted ones; closed, with a check that nothing is left, when the test ends. */
import { build } from 'esbuild';
import { strict as assert } from 'node:assert';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Deployment } from '../../src/config/deployment.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/config/limits.ts';
import { createPool, type PoolParts } from '../../src/pool/pool.ts';
import type { Pool } from '../../src/pool/types.ts';
import type { Outcome } from '../../src/protocol/outcome.ts';
import type { GuestServices } from '../../src/services/types.ts';
import { createLog } from '../../src/telemetry/log.ts';
import type { Script } from './main.ts';

export type Boot = 'well' | 'silent' | 'exit' | 'chatty' | 'old';

/** Bundled once for each way to boot, then copied. */
const bundles = new Map<Boot, Promise<string>>();
let bundleDir: Promise<string> | undefined;

async function bundle(boot: Boot): Promise<string> {
  bundleDir ??= mkdtemp(join(tmpdir(), 'isolambda-scripted-'));
  const outfile = join(await bundleDir, `${boot}.cjs`);
  await build({
    entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'es2024',
    define: { BOOT: JSON.stringify(boot) },
    logLevel: 'silent',
  });
  return outfile;
}

/** For a file's `after`. */
export async function removeBundles(): Promise<void> {
  if (bundleDir) await rm(await bundleDir, { recursive: true, force: true });
}

export const scriptedImage =
  (boot: Boot = 'well'): NonNullable<PoolParts['buildImage']> =>
  async (dir) => {
    let made = bundles.get(boot);
    if (!made) bundles.set(boot, (made = bundle(boot)));
    const entry = join(dir, 'runner.cjs');
    await copyFile(await made, entry);
    return { dir, entry };
  };

export interface TestPoolOptions extends Partial<Omit<PoolParts, 'config'>> {
  readonly boot?: Boot;
  readonly config?: Partial<PoolParts['config']>;
}

export interface TestPool {
  readonly pool: Pool;
  /** Runs a script in the deployment's isolate. */
  run(deployment: Deployment, script: Script, more?: RunOptions): Promise<Outcome>;
  /** Pids of all runners so far seen by `run` and `seen`. */
  seen(): number[];
}

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export const noServices: GuestServices = {
  call: () =>
    Promise.resolve({
      reply: { ok: false, code: 'none', error: 'no services in this test' },
      body: new Uint8Array(0),
    }),
  log: () => undefined,
};

export function poolParts({ boot, config, ...more }: TestPoolOptions = {}): PoolParts {
  return {
    config: {
      jail: 'none',
      spareRunners: 1,
      maxRunners: 20,
      idleMs: 600_000,
      pollUs: 500,
      limits: {},
      ...config,
    },
    services: noServices,
    log: createLog(process.env.ISOLAMBDA_TEST_LOG ?? 'silent'),
    production: false,
    buildImage: scriptedImage(boot),
    ...more,
  };
}

/** What a test registers its end with. */
export interface Ending {
  after(end: () => Promise<void>): void;
}

export async function testPool(t: Ending, options: TestPoolOptions = {}): Promise<TestPool> {
  const pool = createPool(poolParts(options));
  const pids = new Set<number>();
  const seen = (): number[] => {
    for (const { pid } of pool.runners()) pids.add(pid);
    return [...pids];
  };
  t.after(async () => {
    seen();
    await pool.close(0);
    for (const pid of pids)
      assert.ok(!existsSync(`/proc/${pid}`) || (await isZombie(pid)), `runner ${pid} is left`);
  });
  await pool.start();
  return {
    pool,
    seen,
    async run(deployment, script, { timeoutMs = 20_000, signal } = {}) {
      const head = {
        kind: 'http' as const,
        requestId: 'test',
        accountId: deployment.accountId,
        deadlineMs: Date.now() + timeoutMs,
        method: 'POST',
        path: '/main',
        query: '',
        headers: [],
        clientIp: '127.0.0.1',
      };
      const { outcome } = await pool.invoke(deployment, {
        head,
        body: Buffer.from(JSON.stringify(script)),
        signal,
      });
      seen();
      return outcome;
    },
  };
}

async function isZombie(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

let lambdas = 0;
export interface DeploymentOptions extends Partial<Omit<Deployment, 'limits'>> {
  readonly limits?: Partial<Limits>;
  /** How the load goes: see the scripted runner. */
  readonly load?: 'well' | 'exit' | 'never' | 'fail';
}

/** A lambda of its own for each call, in account `a` unless told otherwise. */
export function deployment({ limits, load, ...more }: DeploymentOptions = {}): Deployment {
  return {
    accountId: 'a',
    lambdaId: `lambda-${++lambdas}`,
    version: 1,
    type: 'standalone',
    handler: 'main',
    limits: { ...DEFAULT_LIMITS, ...limits },
    instances: 1,
    lambdaConfig: load === undefined ? null : { load },
    userConfig: {},
    egress: [],
    env: {},
    services: {},
    debugErrors: false,
    loadBundle: () => Promise.resolve({ code: Buffer.from('code'), map: Buffer.from('map') }),
    ...more,
  };
}

/** The JSON value of a reply; fails the test for any other outcome. */
export function valueOf(outcome: Outcome): unknown {
  assert.equal(outcome.kind, 'reply', JSON.stringify(outcome));
  return outcome.kind === 'reply' ? JSON.parse(Buffer.from(outcome.body).toString()) : undefined;
}

/** When an outcome says to come back; 0 where it does not. */
export function retryAfterMs(outcome: Outcome): number {
  return outcome.kind === 'reply' ? 0 : (outcome.retryAfterMs ?? 0);
}

/** Waits for a state that an event of another process brings about. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
