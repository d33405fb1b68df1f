/** The host: every part made once and given to those that need it. `startHost` is the whole product in one process. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { createAdmission } from './admission/admission.ts';
import { managementApi } from './api/management-api.ts';
import { createBuilder } from './archive/builder.ts';
import type { Config } from './config/config.ts';
import { compareConfigs, withReloadable, type Reloaded } from './config/reload.ts';
import { VERSION } from './config/version.ts';
import { createDeployer } from './deploy/deployer.ts';
import { installErrorHandler } from './gateway/http/errors.ts';
import { IsolambdaError } from './errors/error.ts';
import { createHostedQueues } from './gateway/amqp/hosted-queues.ts';
import { TaskBroker } from './gateway/amqp/task-broker.ts';
import { createAuthenticator } from './gateway/http/authenticator.ts';
import { createLambdaEdge } from './gateway/http/lambda-edge.ts';
import { RefusalPacer } from './gateway/http/refusal-pacer.ts';
import { assertMayTrustHeader } from './gateway/http/trusted-header.ts';
import { withServerSpan } from './gateway/http/server-span.ts';
import { createHttpServer } from './gateway/http/server.ts';
import { describeLambda } from './invoke/describe.ts';
import { lambdaMetrics } from './invoke/lambda-metrics.ts';
import { createInvoke } from './invoke/invoke.ts';
import { createPool } from './pool/pool.ts';
import { createRegistry } from './registry/registry.ts';
import { createServiceClients } from './services/clients.ts';
import { createEgress } from './services/egress/fetch.ts';
import { egressProblems } from './services/egress/rules.ts';
import { createGuestServices } from './services/guest-services.ts';
import { createLogStore } from './services/log/log-store.ts';
import { openStore, type Store } from './store/store.ts';
import { createTasks } from './tasks/tasks.ts';
import type { Logger } from './telemetry/log.ts';
import { asksForTraces, createTracing } from './telemetry/tracing.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { observeParts } from './observe-parts.ts';

export interface HostOptions {
  readonly config: Config;
  readonly log: Logger;
}

export interface Host {
  /** `http://127.0.0.1:8080` */
  readonly origin: string;
  /** Takes over what of a new configuration can change while the host runs; throws IsolambdaError or ConfigError where it is refused as a whole. */
  reload(config: Config): Reloaded;
  /** Finishes what is in flight within the grace time, then ends every process and file; idempotent. */
  close(): Promise<void>;
}

/** Starts a host; rejects with IsolambdaError or ConfigError, with nothing left running. */
export async function startHost({ config, log }: HostOptions): Promise<Host> {
  assertMayTrustHeader(config);
  const dataDir = resolve(config.dataDir);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const undo: (() => Promise<unknown>)[] = [];
  let graceEndsMs: number | undefined;
  /** `onShutdown` of the lambdas gets a moment, however long the requests took. */
  const graceLeftMs = (): number =>
    graceEndsMs === undefined
      ? config.shutdownGraceMs
      : Math.max(LEAST_GRACE_MS, graceEndsMs - performance.now());
  const owned = <T>(part: T, end: (part: T) => Promise<unknown>): T => {
    undo.push(() => end(part));
    return part;
  };
  const unwind = async (): Promise<void> => {
    for (const end of undo.splice(0).reverse())
      await end().catch((error: unknown) => log.error({ err: error }, 'a part did not end cleanly'));
  };

  try {
    const metrics = createMetrics();
    const tracer = asksForTraces(config.tracingEndpoint, process.env)
      ? owned(
          createTracing({
            serviceName: 'isolambda',
            endpoint: config.tracingEndpoint,
            sampler: config.tracingSampler,
            ratio: config.tracingRatio,
            onExported: metrics.spans.exported,
          }),
          (part) => part.close(),
        )
      : undefined;
    const store = owned(
      await openStore({
        dataDir,
        url: config.storeUrl,
        cacheBytes: config.storeCacheMb * 1024 * 1024,
        log,
      }),
      (part) => part.close(),
    );
    const registry = owned(
      await createRegistry({ store, config, onError: (error, what) => log.error({ err: error }, what) }),
      (part) => part.close(),
    );
    const tokenFile = join(dataDir, 'operator.token');
    await registry.ensureOperatorToken(tokenFile);
    const logs = owned(
      createLogStore({
        dir: join(dataDir, 'logs'),
        onKept: metrics.logs.kept,
        onDropped: metrics.logs.dropped,
      }),
      (part) => part.flush(),
    );
    const egress = owned(createEgress(), (part) => part.close());
    const clients = owned(createServiceClients(config.services), (part) => part.close());
    const services = createGuestServices({
      egress,
      clients,
      logs,
      onEgress: ({ accountId, lambdaId }, bytes) => registry.usage.egress({ accountId, lambdaId, bytes }),
      metrics: metrics.egress,
      tracer,
    });
    const builder = owned(createBuilder({ config, log, imageDir: join(dataDir, 'builder') }), (part) =>
      part.close(),
    );
    const pool = owned(createPool({ config, services, log, metrics: metrics.pool }), (part) =>
      part.close(graceLeftMs()),
    );
    await pool.start();
    const deployer = owned(
      createDeployer({ store, registry, builder, pool, config, log, metrics: metrics.builds }),
      (part) => part.close(),
    );
    registry.on('accountDeleted', ({ accountId }) => pool.accountDeleted(accountId));
    registry.on('lambdaDeleted', ({ lambda }) => void logs.remove(lambda.id));
    const admission = createAdmission({ now: Date.now });
    store.hosts?.says(() => admission.shares.say());
    store.hosts?.onBeat(({ peers }) => admission.shares.hear(peers.map(({ demand }) => demand)));
    const invoke = createInvoke({ admission, pool, usage: registry.usage, metrics, tracer });
    const tasks = owned(
      createTasks({
        store,
        registry,
        invoke,
        metrics,
        log,
        now: Date.now,
        // A data folder of SQLite has one host; PostgreSQL may have others.
        alone: config.storeUrl === '',
        leaseMs: config.tasksLeaseMs,
        pollMs: TASKS_POLL_MS,
        cancelGraceMs: config.tasksCancelGraceMs,
        retentionMs: config.tasksRetentionMs,
        places: config.tasksConcurrency,
        broker: config.tasksQueue === 'amqp' ? taskBroker(config, log) : undefined,
      }),
      (part) => part.stop(0),
    );

    const authenticator = createAuthenticator({ registry, mode: config.authMode });
    const pacer = new RefusalPacer(Date.now, Math.random);
    const lambdaEdge = createLambdaEdge({
      registry,
      authenticator,
      pacer,
      invoke: withServerSpan(invoke, tracer),
      onRefused: metrics.edges.refused,
    });
    const app = owned(
      createHttpServer({
        authenticator,
        lambdaEdge,
        pacer,
        headerBytes: config.limits.header_bytes ?? 64 * 1024,
        onApiReply: metrics.edges.apiReply,
      }),
      (part) => part.close(),
    );
    installErrorHandler(app, log);
    const queues =
      config.amqpUrl === ''
        ? undefined
        : owned(createHostedQueues({ url: config.amqpUrl, registry, invoke, tracer, log }), (part) =>
            part.stop(0),
          );
    let draining = false;
    observeParts(metrics, { admission, pool, deployer, queues, registry, logs, app });
    await app.register(managementApi, {
      registry,
      deployer,
      logs,
      tasks,
      version: VERSION,
      servesQueues: config.amqpUrl !== '',
      egressProblems,
      readiness: async () => ({
        serving: { ok: !draining, detail: draining ? 'the host is shutting down' : 'takes requests' },
        store: storeCheck(store),
        // A missing jail is said, not refused: production refuses it at start.
        jail: { ok: true, detail: pool.jail.kind === 'none' ? `none: ${pool.jail.reason}` : pool.jail.kind },
      }),
      used: (accountId) => {
        const { inFlight, queued } = admission.usage(accountId);
        return { account_concurrency: inFlight, queue: queued };
      },
      metrics: async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
      onLogMissed: metrics.logs.missed,
      lambdaMetrics: (lambda, requestId) => lambdaMetrics(invoke, lambda, requestId),
      lambdaSpec: (lambda, requestId) => describeLambda(invoke, lambda, requestId),
    });
    await deployer.start();
    queues?.start();
    await tasks.start();
    await app.listen({ host: config.host, port: config.port });
    const origin = originOf(app.server.address() as AddressInfo);
    const hostFile = join(dataDir, 'host.json');
    await writeAtomically(
      hostFile,
      `${JSON.stringify({ origin, pid: process.pid, version: VERSION }, null, 2)}\n`,
    );
    log.info(
      { origin, jail: pool.jail.kind, data_dir: dataDir },
      pool.jail.kind === 'none' ? `runners are not jailed: ${pool.jail.reason}` : 'ready',
    );

    let inForce = config;
    let closing: Promise<void> | undefined;
    return {
      origin,
      reload(changed) {
        const reloaded = compareConfigs(inForce, changed);
        inForce = withReloadable(inForce, changed);
        log.level = inForce.logLevel;
        clients.reconfigure(inForce.services);
        registry.reconfigure(inForce);
        return reloaded;
      },
      close: () =>
        (closing ??= (async () => {
          draining = true;
          await rm(hostFile, { force: true });
          await pause(config.shutdownDelayMs);
          graceEndsMs = performance.now() + config.shutdownGraceMs;
          // New connections are refused from here on; what came in is served, up to the grace time.
          await withinMs(
            config.shutdownGraceMs,
            Promise.all([
              deployer.close(),
              app.close(),
              queues?.stop(config.shutdownGraceMs),
              tasks.stop(config.shutdownGraceMs),
              invoke.idle(),
            ]),
          );
          invoke.drain();
          // What is still open had its grace time: half a request must not hold the end.
          app.server.closeAllConnections();
          await unwind();
        })()),
    };
  } catch (error) {
    await unwind();
    throw error;
  }
}

/** Of the grace time, for `onShutdown`; milliseconds. */
const LEAST_GRACE_MS = 1_000;

function taskBroker({ amqpUrl }: Config, log: Logger): TaskBroker {
  if (amqpUrl === '')
    throw new IsolambdaError('configuration', 'tasks.queue is amqp, and amqp.url names no broker: set it');
  return new TaskBroker({ url: amqpUrl, log, now: Date.now });
}

/** How often a host looks for tasks that another was given, and for those that were cancelled there. */
const TASKS_POLL_MS = 1_000;

/** Said, not refused: lambdas are served from memory, and a database that is away for all must not take all hosts out. */
function storeCheck({ hosts }: Store): { ok: true; detail: string } {
  if (hosts === undefined) return { ok: true, detail: 'SQLite in the data folder' };
  const silentMs = hosts.silentMs();
  return {
    ok: true,
    detail:
      silentMs < STORE_SILENT_MS
        ? `shared; this host is ${hosts.name}`
        : `silent for ${Math.round(silentMs / 1_000)} s: serving what is known; changes have to wait`,
  };
}
const STORE_SILENT_MS = 3_000;

const originOf = ({ address, family, port }: AddressInfo): string =>
  `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;

/** A reader never sees half a file. */
async function writeAtomically(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o644 });
  await rename(`${path}.new`, path);
}

async function withinMs(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
