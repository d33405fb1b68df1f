/** A deployer on a real store and registry. Builder and pool are the real ones, or scripted where a fault is needed that the real ones don't show. */
import AdmZip from 'adm-zip';
import { pino } from 'pino';
import { createBuilder } from '../../src/archive/builder.ts';
import type { Builder, BuildRequest, BuildResult } from '../../src/archive/types.ts';
import type { Problem } from '../../src/errors/problem.ts';
import { compileConfig } from '../../src/config/config.ts';
import type { Deployment } from '../../src/config/deployment.ts';
import { createDeployer, type DeployerOptions } from '../../src/deploy/deployer.ts';
import type { Deployer } from '../../src/deploy/types.ts';
import { createPool } from '../../src/pool/pool.ts';
import type { Pool } from '../../src/pool/types.ts';
import type { Loaded } from '../../src/protocol/messages.ts';
import type { Failure, Outcome } from '../../src/protocol/outcome.ts';
import type { DeployRegistry } from '../../src/registry/types.ts';
import type { Store } from '../../src/store/store.ts';
import { openRegistry } from '../registry.ts';

export function zipOf(files: Readonly<Record<string, string>>): Uint8Array {
  const zip = new AdmZip();
  for (const [path, text] of Object.entries(files)) zip.addFile(path, Buffer.from(text));
  return zip.toBuffer();
}

export const lambdaZip = (main: string): Uint8Array => zipOf({ 'lambda_main.ts': main });

export const log = pino({ level: 'silent' });

interface Ending {
  after(work: () => Promise<unknown>): void;
}

export interface RealPool {
  readonly pool: Pool;
  readonly builder: Builder;
  /** `main` of the version that serves, with a JSON body. */
  call(
    deployment: Deployment | undefined,
    body?: unknown,
  ): Promise<{ outcome: Outcome['kind']; value: unknown }>;
}

/** One pool and builder for a file: booting them takes most of a second. */
export async function realPool(): Promise<RealPool & { close(): Promise<void> }> {
  const config = compileConfig({ flags: { spareRunners: '1' } });
  const builder = createBuilder({ config, log });
  const services = {
    call: async () => ({
      reply: { ok: false as const, error: 'no services in this test', code: 'none' },
      body: Buffer.alloc(0),
    }),
    log: () => undefined,
  };
  const pool = createPool({ config, services, log });
  await pool.start();
  return {
    pool,
    builder,
    async call(deployment, body = {}) {
      if (deployment === undefined) return { outcome: 'not_ready', value: undefined };
      const { outcome } = await pool.invoke(deployment, {
        head: {
          kind: 'http',
          requestId: 'test',
          accountId: deployment.accountId,
          deadlineMs: Date.now() + 20_000,
          method: 'POST',
          path: '/main',
          query: '',
          headers: ['content-type', 'application/json'],
          clientIp: '127.0.0.1',
        },
        body: Buffer.from(JSON.stringify(body)),
      });
      const value: unknown =
        outcome.kind === 'reply' ? JSON.parse(Buffer.from(outcome.body).toString()) : outcome.detail;
      return { outcome: outcome.kind, value };
    },
    async close() {
      await Promise.all([builder.close(), pool.close(0)]);
    },
  };
}

export interface Rig {
  readonly store: Store;
  readonly registry: DeployRegistry;
  readonly deployer: Deployer;
  /** Of one account, without a quota. */
  readonly accountId: string;
  readonly clock: { time: number };
  /** Stops the deployer as a host that closes does, and starts another on the same data. */
  restart(parts?: Partial<DeployerOptions>): Promise<Rig>;
}

export async function rig(
  t: Ending,
  parts: Pick<DeployerOptions, 'builder' | 'pool'> & Partial<DeployerOptions>,
): Promise<Rig> {
  let open = await openRegistry(t);
  const { id: accountId } = await open.registry.createAccount({ name: 'acme' });
  let deployer: Deployer | undefined;
  t.after(async () => deployer?.close());
  const start = (given: Partial<DeployerOptions>): Rig => {
    const { store, registry, clock } = open;
    const options = { ...parts, ...given, store, registry, log, config: { buildConcurrency: 2 } };
    const made = createDeployer({ ...options });
    deployer = made;
    return {
      store,
      registry,
      deployer: made,
      accountId,
      clock,
      async restart(changed = {}) {
        await made.close();
        open = await open.reopen();
        const next = start({ ...given, ...changed });
        await next.deployer.start();
        return next;
      },
    };
  };
  return start({});
}

/** A builder whose builds end when the test says so. */
export class ScriptedBuilder implements Builder {
  readonly builds: { readonly request: BuildRequest; readonly end: (result: BuildResult | Error) => void }[] =
    [];
  /** Where set, builds end at once with it. */
  answer: ((request: BuildRequest) => BuildResult) | undefined;
  #onBuild: (() => void)[] = [];

  build(request: BuildRequest, signal?: AbortSignal): Promise<BuildResult> {
    if (this.answer) return Promise.resolve(this.answer(request));
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.builds.push({
        request,
        end: (result) => (result instanceof Error ? reject(result) : resolve(result)),
      });
      for (const wake of this.#onBuild.splice(0)) wake();
    });
  }

  /** Once so many builds have begun. */
  async begun(count: number): Promise<void> {
    while (this.builds.length < count) await new Promise<void>((resolve) => this.#onBuild.push(resolve));
  }

  async close(): Promise<void> {}
}

export const good = (code = 'code'): BuildResult => ({
  ok: true,
  bundle: { code: Buffer.from(code), map: Buffer.from('{}'), lambdaConfig: null, handler: 'main' },
  problems: [],
});
export const bad = (...rules: string[]): BuildResult => ({
  ok: false,
  problems: rules.map((rule): Problem => ({
    severity: 'error',
    rule,
    message: `${rule} is wrong`,
    mend: 'mend it',
  })),
});

/** A pool that starts what the test lets it start, and notes what it was asked. */
export class ScriptedPool implements Pick<Pool, 'prepare' | 'retire' | 'configure' | 'instances'> {
  readonly asked: string[] = [];
  onPrepare: (deployment: Deployment) => Promise<Loaded | Failure> = () =>
    Promise.resolve({ ms: 1, routes: [] });

  prepare(deployment: Deployment): Promise<Loaded | Failure> {
    this.asked.push(`prepare ${deployment.version}`);
    return this.onPrepare(deployment);
  }
  async retire(_: string, version: number, reason: string): Promise<void> {
    this.asked.push(`retire ${version} ${reason}`);
  }
  configure(_: string, userConfig: unknown): void {
    this.asked.push(`configure ${JSON.stringify(userConfig)}`);
  }
  instances(): [] {
    return [];
  }
}
