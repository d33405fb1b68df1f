import { isDeepStrictEqual } from 'node:util';
import { randomUUID } from 'node:crypto';
import type { Builder } from '../archive/types.ts';
import type { Config } from '../config/config.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { Pool } from '../pool/types.ts';
import type { DeployRegistry, LambdaEntry } from '../registry/types.ts';
import type { LambdaRecord } from '../store/lambdas.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { BuildMetrics } from '../telemetry/part-metrics.ts';
import { ArchiveSource, createBuilds } from './builds.ts';
import { Jobs } from './jobs.ts';
import {
  checkArchiveSize,
  DEFAULT_DEPLOY,
  parametersOf,
  settingsOf,
  settingsOfPatch,
  type Settings,
} from './parameters.ts';
import { startProblem } from './problems.ts';
import { changeOf, createRollout } from './rollout.ts';
import { createStart } from './starts.ts';
import type { Deployed, Deployer, Upload } from './types.ts';
import { createUploads } from './uploads.ts';
import { createVersionReader } from './version-reader.ts';

export interface DeployerOptions {
  readonly store: Store;
  readonly registry: DeployRegistry;
  readonly builder: Builder;
  readonly pool: Pick<Pool, 'prepare' | 'retire' | 'configure' | 'instances'>;
  readonly log: Logger;
  readonly config: Pick<Config, 'buildConcurrency'>;
  readonly metrics?: BuildMetrics | undefined;
  /** Epoch milliseconds. */
  readonly now?: (() => number) | undefined;
  /** See docs/decisions/upload-builds-before-it-answers.md. */
  readonly answerWithinMs?: number | undefined;
}

const ANSWER_WITHIN_MS = 2_000;
/** How often builds are looked for whose host is gone. */
const TAKE_UP_MS = 2_000;

export function createDeployer(options: DeployerOptions): Deployer {
  const { store, registry, builder, pool, log, config, now = Date.now } = options;
  const jobs = new Jobs({ now, claims: store.claims, catchUp: () => registry.catchUp() });
  const builds = createBuilds(builder, config.buildConcurrency, options.metrics);
  const rollout = createRollout({ store, registry, pool, start: createStart(pool), log, now });
  const uploads = createUploads({
    store,
    registry,
    jobs,
    builds,
    rollout,
    now,
    answerWithinMs: options.answerWithinMs ?? ANSWER_WITHIN_MS,
  });
  const reader = createVersionReader({ store, registry, jobs });
  let closing: Promise<void> | undefined;
  let takingUp: NodeJS.Timeout | undefined;

  /** What a stop or a kill left, of this host or of one that is gone. */
  async function takeUp(): Promise<void> {
    for (const version of await store.versions.unfinished()) {
      if (closing !== undefined) return;
      try {
        await uploads.resume(version);
      } catch (error) {
        // Its host lives, and is at it.
        if (!(error instanceof IsolambdaError && error.code === 'update_conflict')) throw error;
      }
    }
  }

  function lambdaOf(lambdaId: string): LambdaEntry {
    const lambda = registry.lambda(lambdaId);
    if (lambda === undefined) throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
    return lambda;
  }

  function checkOpen(): void {
    if (closing !== undefined)
      throw new IsolambdaError('draining', 'the host takes no new work', { retryAfterMs: 1_000 });
  }

  /** Told before the archive is built; `insertLambda` checks it again in its own turn. */
  function checkCount(accountId: string): void {
    if (registry.account(accountId) === undefined)
      throw new IsolambdaError('account_not_found', `no account ${accountId}`);
    const limit = registry.limits(accountId).lambdas;
    const count = registry.lambdaCount(accountId);
    if (count >= limit)
      throw new IsolambdaError(
        'quota_exceeded',
        `the account has ${count} lambdas; its limit is ${limit} (lambdas)`,
      );
  }

  async function create(accountId: string, upload: Upload): Promise<Deployed> {
    checkOpen();
    const settings = settingsOf(upload);
    checkCount(accountId);
    const lambdaId = randomUUID();
    const parameters = parametersOf(settings, lambdaId);
    const version = await uploads.accept({
      lambdaId,
      accountId,
      archive: upload.archive,
      type: parameters.type,
      handler: parameters.handler,
      settings: null,
      version: () => 1,
      commit: async ({ version, createdAt, state }, write) => {
        const record: LambdaRecord = {
          ...parameters,
          id: lambdaId,
          accountId,
          amqp: parameters.amqp === null ? null : JSON.stringify(parameters.amqp),
          alive: true,
          state: state === 'waiting' ? 'waiting' : 'building',
          stateDetail: state === 'starting' ? 'starting' : '',
          activeVersion: null,
          latestVersion: version,
          userConfig: JSON.stringify(settings.userConfig ?? {}),
          deployParameters: JSON.stringify({ ...DEFAULT_DEPLOY, ...settings.deployParameters }),
          createdAt,
          updatedAt: createdAt,
        };
        await registry.insertLambda(record, write);
      },
    });
    return { lambdaId, version };
  }

  async function update(lambdaId: string, upload: Upload): Promise<Deployed> {
    checkOpen();
    const lambda = lambdaOf(lambdaId);
    const settings = settingsOf(upload);
    const { type = lambda.type, ...rest } = settings.parameters;
    // The handler of an rpc lambda means nothing to another type.
    const { handler = type === lambda.type ? lambda.handler : null, ...parameters } = rest;
    const version = await uploads.accept({
      lambdaId,
      accountId: lambda.accountId,
      archive: upload.archive,
      type,
      handler,
      settings: JSON.stringify({ ...settings, parameters } satisfies Settings),
      version: () => lambda.latestVersion + 1,
      commit: async ({ version, state }, write) => {
        const waits = {
          state: state === 'waiting' ? ('waiting' as const) : ('building' as const),
          stateDetail: state === 'starting' ? 'starting' : '',
        };
        const change = { latestVersion: version, ...(lambda.active === undefined ? waits : {}) };
        await registry.changeLambda(lambdaId, change, { write });
      },
    });
    return { lambdaId, version };
  }

  async function rollback(lambdaId: string, version: number): Promise<Deployed> {
    checkOpen();
    const lambda = lambdaOf(lambdaId);
    const job = await jobs.begin(lambdaId, lambda.accountId);
    const finished = Promise.withResolvers<void>();
    job.done = finished.promise;
    try {
      const record = await reader.get(lambdaId, version);
      if (lambda.active?.version === version) return { lambdaId, version };
      if (record.bundleHash === null)
        throw new IsolambdaError('update_failed', `version ${version} was not built: see its build log`);
      job.version = version;
      job.note(`rolling back from version ${lambda.version}`);
      const failed = await rollout.serve(job, record);
      if (failed === undefined) return { lambdaId, version };
      throw new IsolambdaError('update_failed', `version ${version} did not start: ${failed.detail}`, {
        problems: [startProblem(failed)],
      });
    } finally {
      jobs.end(job);
      finished.resolve();
    }
  }

  async function change(lambdaId: string, settings: Settings): Promise<LambdaEntry> {
    const { lambda } = await registry.changeLambda(lambdaId, (known) => changeOf(known, settings));
    return lambda;
  }

  // Whichever host changed it. What else a deployment says anew, the pool sees at its next call.
  const unsubscribe = [
    registry.on('lambdaChanged', ({ lambda, previous, switchedOff }) => {
      const { id, active } = lambda;
      if (active === undefined) return;
      if (previous !== undefined && previous.version !== active.version)
        rollout.retire(id, previous.version, 'update');
      if (switchedOff) rollout.retire(id, active.version, 'disable');
      // Isolates that run are told of a user configuration.
      if (previous !== undefined && !isDeepStrictEqual(previous.userConfig, active.userConfig))
        pool.configure(id, active.userConfig);
    }),
    registry.on('lambdaDeleted', ({ lambda: { id, active } }) => {
      jobs.get(id)?.abort(new IsolambdaError('lambda_not_found', `lambda ${id} was deleted`));
      if (active !== undefined) rollout.retire(id, active.version, 'delete');
    }),
  ];

  return {
    async start() {
      await takeUp();
      if (store.hosts !== undefined) {
        takingUp = setInterval(
          () =>
            void takeUp().catch((err: unknown) =>
              log.warn({ err }, 'looking for builds of hosts that ended'),
            ),
          TAKE_UP_MS,
        );
        takingUp.unref();
      }
      // Beside the first requests: only uploads that were never acknowledged are swept.
      rollout.sweep();
    },
    create,
    update,
    async validate(accountId, { archive, parameters, deployParameters }) {
      checkOpen();
      const settings = settingsOf({ parameters, deployParameters });
      const limits = registry.limits(accountId);
      checkArchiveSize(archive, limits);
      const { type, handler } = parametersOf(settings, accountId);
      const source = new ArchiveSource({ bytes: archive }, (hash) => store.blobs.get(hash));
      const { ok, problems } = await builds.order({ accountId, source, type, handler, limits }).result;
      return { valid: ok, problems };
    },
    rollback,
    patch: async (lambdaId, patch) => change(lambdaId, settingsOfPatch(patch)),
    setUserConfig: async (lambdaId, userConfig) => change(lambdaId, settingsOfPatch({ userConfig })),
    async switch(lambdaId, alive) {
      return (await registry.changeLambda(lambdaId, { alive })).lambda;
    },
    async delete(lambdaId) {
      rollout.sweep(await registry.removeLambda(lambdaId));
    },
    async deleteAccount(accountId) {
      rollout.sweep((await registry.removeAccount(accountId)).hashes);
    },
    status(lambdaId) {
      const lambda = lambdaOf(lambdaId);
      const job = jobs.get(lambdaId);
      const next = lambda.active === undefined ? undefined : job?.version;
      return {
        lambdaId,
        state: lambda.state,
        stateDetail: lambda.stateDetail,
        version: lambda.version,
        update: job === undefined || next === undefined ? null : { version: next, state: job.state },
        instances: pool.instances(lambdaId),
      };
    },
    ...reader.methods,
    swept: () => rollout.swept(),
    get waitingBuilds() {
      return builds.waiting;
    },
    close() {
      closing ??= (async () => {
        clearInterval(takingUp);
        for (const leave of unsubscribe) leave();
        const open = jobs.all();
        for (const job of open) job.abort(new IsolambdaError('draining', 'the host closes'));
        await Promise.all(open.map(({ done }) => done));
        await rollout.swept();
      })();
      return closing;
    },
  };
}
