/**
 * The management API over a real store, registry, builder and deployer, listening on a port of its own.
 * Only what runs inside isolates is left out: `StillPool` says of every bundle that it started, or what the test wants.
 */
import AdmZip from 'adm-zip';
import { strict as assert } from 'node:assert';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { Compile } from 'typebox/compile';
import type { FastifyInstance } from 'fastify';
import { managementApi, type ManagementApiOptions } from '../../src/api/management-api.ts';
import { createAdmission } from '../../src/admission/admission.ts';
import { createBuilder } from '../../src/archive/builder.ts';
import { LambdaApi } from '../../src/client/index.ts';
import { compileConfig, type ConfigSources } from '../../src/config/config.ts';
import { createDeployer } from '../../src/deploy/deployer.ts';
import type { Deployer } from '../../src/deploy/types.ts';
import { createAuthenticator } from '../../src/gateway/http/authenticator.ts';
import { installErrorHandler } from '../../src/gateway/http/errors.ts';
import { RefusalPacer } from '../../src/gateway/http/refusal-pacer.ts';
import { createHttpServer } from '../../src/gateway/http/server.ts';
import { createInvoke } from '../../src/invoke/invoke.ts';
import type { InstanceStatus, Pool } from '../../src/pool/types.ts';
import { failure, type Failure } from '../../src/protocol/outcome.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import type { Registry, Scope } from '../../src/registry/types.ts';
import { egressProblems } from '../../src/services/egress/rules.ts';
import { createLogStore, type LogStore } from '../../src/services/log/log-store.ts';
import { openStore } from '../../src/store/store.ts';
import { createTasks } from '../../src/tasks/tasks.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

type StillPool = Pick<Pool, 'prepare' | 'retire' | 'configure' | 'instances'> & {
  /** What the next starts end with. */
  failure: Failure | undefined;
  /** Starts wait for it. */
  gate: Promise<void>;
  running: InstanceStatus[];
};

export interface ApiHost {
  readonly origin: string;
  readonly document: OpenApi;
  readonly app: FastifyInstance;
  readonly registry: Registry;
  readonly deployer: Deployer;
  readonly pool: StillPool;
  readonly logs: LogStore;
  /** With the operator's token; each JSON reply is checked against the OpenAPI document. */
  readonly operator: LambdaApi;
  /** Faults that the host told its log. */
  readonly faults: unknown[];
  client(token?: string, accountId?: string): LambdaApi;
  account(...scopes: Scope[]): Promise<{ accountId: string; api: LambdaApi; token: string }>;
  close(): Promise<void>;
}

export interface ApiHostOptions {
  readonly file?: ConfigSources['file'];
  readonly authMode?: 'token' | 'trusted-header';
  readonly api?: Partial<ManagementApiOptions>;
  /** Routes of the test's own. */
  readonly extend?: (app: FastifyInstance) => void;
}

export async function startApiHost({
  file,
  authMode = 'token',
  api = {},
  extend,
}: ApiHostOptions = {}): Promise<ApiHost> {
  const dataDir = await mkdtemp(join(tmpdir(), 'isolambda-api-'));
  const config = compileConfig({ flags: { dataDir }, file });
  const log = createLog('silent');
  const store = await openStore({ dataDir });
  const registry = await createRegistry({ store, config });
  const tokenFile = join(dataDir, 'operator.token');
  await registry.ensureOperatorToken(tokenFile);
  const builder = createBuilder({ config, log });
  const pool = stillPool();
  const deployer = createDeployer({ store, registry, builder, pool, config, log });
  const logs = createLogStore({ dir: join(dataDir, 'logs') });
  // Tasks are taken in and shown; nothing executes them here.
  const metrics = createMetrics();
  const tasks = createTasks({
    store,
    registry,
    invoke: createInvoke({
      admission: createAdmission({ now: Date.now }),
      pool: {
        invoke: async () => ({ outcome: failure('not_ready', 'no isolates here'), usage: { cpuUs: 0 } }),
      },
      usage: registry.usage,
      metrics,
    }),
    metrics,
    log,
    now: Date.now,
    alone: true,
    leaseMs: 10_000,
    pollMs: 1_000,
    cancelGraceMs: 0,
    retentionMs: 86_400_000,
    places: 1,
  });
  const faults: unknown[] = [];
  const app = createHttpServer({
    authenticator: createAuthenticator({ registry, mode: authMode }),
    // Lambdas are called in the end-to-end tests.
    lambdaEdge: () => false,
    pacer: new RefusalPacer(Date.now, Math.random),
    headerBytes: 16 * 1024,
  });
  installErrorHandler(app, { error: (fields) => void faults.push(fields) });
  extend?.(app);
  await app.register(managementApi, {
    registry,
    deployer,
    logs,
    tasks,
    version: '0.0.0-test',
    readiness: async () => ({ store: { ok: true, detail: 'open' } }),
    egressProblems,
    ...api,
  });
  await deployer.start();
  await app.listen({ host: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const document = (await (await globalThis.fetch(`${origin}/docs/json`)).json()) as OpenApi;
  const fetch = documentedFetch(document);
  const client = (token?: string, accountId?: string): LambdaApi =>
    new LambdaApi({ origin, api: 1, token, accountId, fetch });
  const operator = client((await readFile(tokenFile, 'utf8')).trim());
  return {
    origin,
    document,
    app,
    registry,
    deployer,
    pool,
    logs,
    operator,
    faults,
    client,
    async account(...scopes) {
      const { account_id: accountId } = (await operator.createAccount({ name: 'tenant' })).json;
      const given = scopes.length > 0 ? scopes : (['admin'] as const);
      const { token } = (await operator.createToken(accountId, { scopes: [...given] })).json;
      return { accountId, token, api: client(token) };
    },
    async close() {
      // A connection whose refused body was still being dropped is idle only later.
      const idle = setInterval(() => app.server.closeIdleConnections(), 20);
      await app.close();
      clearInterval(idle);
      await deployer.close();
      await builder.close();
      await logs.flush();
      await registry.close();
      await store.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function stillPool(): StillPool {
  const pool: StillPool = {
    failure: undefined,
    gate: Promise.resolve(),
    running: [],
    async prepare(deployment) {
      await pool.gate;
      const { code } = await deployment.loadBundle();
      assert.ok(code.byteLength > 0);
      return pool.failure ?? { ms: 1, routes: [] };
    },
    async retire() {},
    configure() {},
    instances: () => pool.running,
  };
  return pool;
}

export const MAIN = 'export async function main(request) { return { got: request.json }; }\n';

export function zipOf(files: Readonly<Record<string, string>> = { 'lambda_main.ts': MAIN }): Buffer {
  const zip = new AdmZip();
  for (const [path, text] of Object.entries(files)) zip.addFile(path, Buffer.from(text));
  return zip.toBuffer();
}

/** Uploads, and waits until it runs. */
export async function deployed(api: LambdaApi, parameters: object = {}, accountId?: string): Promise<string> {
  const { lambda_id: lambdaId } = (await api.createLambda({ archive: zipOf(), parameters, accountId })).json;
  await api.waitUntilRunning(lambdaId, { accountId });
  return lambdaId;
}

export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}
export interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Readonly<Record<string, { schema: object }>> }
    >
  >;
}

/** `fetch`, and a check that what came back is what the document says: the status, and the body's schema. */
function documentedFetch(document: OpenApi): typeof globalThis.fetch {
  const paths = Object.entries(document.paths)
    // The fixed path is meant where one with a parameter would fit too.
    .sort(([a], [b]) => Number(a.includes('{')) - Number(b.includes('{')))
    .map(([path, operations]) => ({
      pattern: new RegExp(`^${path.replaceAll('/{path}', '/.+').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      operations,
      path,
    }));
  return async (input, init) => {
    const response = await globalThis.fetch(input, init);
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const method = (init?.method ?? 'GET').toLowerCase();
    const found = paths.find(({ pattern }) => pattern.test(pathname));
    const operation = found?.operations[method];
    if (!operation || !found) return response;
    const told = `${method} ${found.path} ${response.status}`;
    const documented = operation.responses[String(response.status)];
    assert.ok(documented, `${told} is not in the document`);
    const schema = documented.content?.['application/json']?.schema;
    if (schema && response.headers.get('content-type')?.startsWith('application/json') === true) {
      const body: unknown = await response.clone().json();
      const check = Compile({ ...schema, components: document.components });
      if (!check.Check(body)) assert.fail(`${told}: ${JSON.stringify(check.Errors(body))}`);
    }
    return response;
  };
}
