import { isDeepStrictEqual } from 'node:util';
import type { BuildResult } from '../archive/types.ts';
import type { Problem } from '../errors/problem.ts';
import type { Deployment } from '../config/deployment.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { Pool } from '../pool/types.ts';
import type { Failure } from '../protocol/outcome.ts';
import { packBundle } from '../registry/bundles.ts';
import type { DeployRegistry, LambdaEntry } from '../registry/types.ts';
import type { LambdaChange } from '../store/lambdas.ts';
import type { Store } from '../store/store.ts';
import type { DeployParameters } from '../store/types.ts';
import { serving, type VersionRecord } from '../store/versions.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Job } from './jobs.ts';
import type { Settings } from './parameters.ts';
import { errorProblem, startProblem, summary } from './problems.ts';
import type { Start } from './starts.ts';

export interface RolloutParts {
  readonly store: Store;
  readonly registry: DeployRegistry;
  readonly pool: Pick<Pool, 'retire' | 'configure'>;
  readonly start: Start;
  readonly log: Logger;
  readonly now: () => number;
}

export interface Rollout {
  /** Brings a stored version to serving, or to `failed` with its problems; never rejects. `built` is awaited where it has no bundle yet. */
  run(job: Job, version: VersionRecord, built: Promise<BuildResult> | undefined): Promise<void>;
  /** Starts a version that was built and lets it serve; the failure where it doesn't start. Then nothing has changed. */
  serve(job: Job, version: VersionRecord): Promise<Failure | undefined>;
  /** The columns that a good build fills. */
  bundled(result: BuildResult & { readonly ok: true }): Promise<Bundled>;
  /** Isolates of a version go, in the background. */
  retire(lambdaId: string, version: number, reason: 'update' | 'delete' | 'disable'): void;
  /** Blobs that may no longer be referred to go, in the background. */
  sweep(hashes?: readonly string[]): void;
  /** Resolves once the sweeps under way have ended. */
  swept(): Promise<void>;
}

export interface Bundled {
  readonly columns: Pick<
    VersionRecord,
    'bundleHash' | 'bundleBytes' | 'entry' | 'queueName' | 'lambdaConfig'
  >;
  release(): void;
}

export function createRollout({ store, registry, pool, start, log, now }: RolloutParts): Rollout {
  async function run(
    job: Job,
    version: VersionRecord,
    built: Promise<BuildResult> | undefined,
  ): Promise<void> {
    try {
      const ready = version.bundleHash === null ? await finishBuild(job, version, await built!) : version;
      if (ready === undefined) return;
      const failed = await serve(job, ready);
      if (failed !== undefined) await fail(job, ready, [startProblem(failed)], false);
    } catch (error) {
      await endWith(job, version, error);
    }
  }

  async function endWith(job: Job, version: VersionRecord, error: unknown): Promise<void> {
    // Deleted meanwhile: an isolate that had just started goes too.
    if (registry.lambda(job.lambdaId) === undefined) return retire(job.lambdaId, version.version, 'delete');
    // The host closes: the next start takes the version up again.
    if (job.signal.aborted) return;
    if (error instanceof IsolambdaError && error.code === 'draining') return;
    if (!(error instanceof IsolambdaError))
      log.error({ err: error, lambdaId: job.lambdaId }, 'deployment failed');
    try {
      await fail(job, version, [errorProblem(error)], false);
    } catch (failure) {
      // The store itself fails: the version stays unfinished, and the next start takes it up.
      log.error({ err: failure, lambdaId: job.lambdaId }, 'a failed deployment could not be recorded');
    }
  }

  async function finishBuild(
    job: Job,
    version: VersionRecord,
    result: BuildResult,
  ): Promise<VersionRecord | undefined> {
    if (!result.ok) {
      await fail(job, version, result.problems, true);
      return undefined;
    }
    job.found(result.problems);
    job.note('built');
    const bundle = await bundled(result);
    try {
      const starting = { ...version, ...bundle.columns, state: 'starting' as const, updatedAt: now() };
      await registry.changeLambda(job.lambdaId, unlessServing(job.lambdaId, 'building', 'starting'), {
        write: async (tx) => {
          await job.stillOurs(tx);
          await tx.versions.update(job.lambdaId, version.version, starting);
          await tx.builds.put(job.lambdaId, version.version, job.record(false));
        },
      });
      return starting;
    } catch (error) {
      bundle.release();
      sweep([bundle.columns.bundleHash!]);
      throw error;
    } finally {
      bundle.release();
    }
  }

  async function bundled({ bundle }: BuildResult & { readonly ok: true }): Promise<Bundled> {
    const blob = await store.blobs.put(packBundle(bundle));
    return {
      columns: {
        bundleHash: blob.hash,
        bundleBytes: blob.bytes,
        entry: bundle.handler,
        queueName: bundle.queueName ?? null,
        lambdaConfig: JSON.stringify(bundle.lambdaConfig ?? null),
      },
      release: () => blob.release(),
    };
  }

  async function serve(job: Job, version: VersionRecord): Promise<Failure | undefined> {
    const { lambdaId } = job;
    const built = serving(version);
    if (built === undefined)
      throw new IsolambdaError('internal', `version ${version.version} of lambda ${lambdaId} has no bundle`);
    const settings = parseSettings(version.settings);
    job.state = 'starting';
    let prepared: Deployment | undefined;
    let queueName = version.queueName;
    if (lambdaOf(lambdaId).alive) {
      job.note('starting');
      prepared = registry.deploymentOf(lambdaId, built, merged(lambdaOf(lambdaId), settings));
      const outcome = await start(prepared, job.signal);
      if ('kind' in outcome) return outcome;
      job.note(`started in ${Math.round(outcome.ms)} ms`);
      queueName = outcome.queueName ?? queueName;
    }
    await switchTo(job, { ...version, queueName }, settings, prepared);
    return undefined;
  }

  /** From here on requests go to the version; those in flight finish on the one before. */
  async function switchTo(
    job: Job,
    version: VersionRecord,
    settings: Settings,
    prepared: Deployment | undefined,
  ): Promise<void> {
    const { lambdaId } = job;
    const entry = lambdaOf(lambdaId);
    job.note('serving');
    let dropped: string[] = [];
    const { lambda } = await registry.changeLambda(
      lambdaId,
      (known) => ({
        ...changeOf(known, settings),
        type: version.type,
        handler: version.handler,
        state: 'running',
        stateDetail: '',
      }),
      {
        serve: serving(version),
        write: async (tx) => {
          await job.stillOurs(tx);
          const change = {
            state: 'ready',
            settings: null,
            queueName: version.queueName,
            updatedAt: now(),
          } as const;
          await tx.versions.update(lambdaId, version.version, change);
          await tx.builds.put(lambdaId, version.version, job.record(true));
          const keep = registry.limits(entry.accountId).versions;
          dropped = await tx.versions.prune(lambdaId, keep, [version.version]);
          await tx.claims.drop(job.claim);
        },
      },
    );
    // It was switched off, or its user configuration changed, while it started.
    if (prepared !== undefined && !lambda.alive) retire(lambdaId, version.version, 'disable');
    else if (prepared !== undefined && !isDeepStrictEqual(prepared.userConfig, lambda.userConfig))
      pool.configure(lambdaId, lambda.userConfig);
    sweep(dropped);
  }

  async function fail(
    job: Job,
    version: VersionRecord,
    problems: readonly Problem[],
    refused: boolean,
  ): Promise<void> {
    job.found(problems);
    job.note(refused ? 'refused' : 'failed');
    await registry.changeLambda(job.lambdaId, unlessServing(job.lambdaId, 'failed', summary(problems)), {
      write: async (tx) => {
        await job.stillOurs(tx);
        await tx.versions.update(job.lambdaId, version.version, {
          state: 'failed',
          // Of an archive that is refused nothing is kept.
          ...(refused ? { archiveHash: null, archiveBytes: 0 } : {}),
          updatedAt: now(),
        });
        await tx.builds.put(job.lambdaId, version.version, job.record(true));
        await tx.claims.drop(job.claim);
      },
    });
    if (refused && version.archiveHash !== null) sweep([version.archiveHash]);
  }

  /** A version that serves goes on serving, whatever becomes of the next. */
  function unlessServing(lambdaId: string, state: 'building' | 'failed', stateDetail: string): LambdaChange {
    return registry.lambda(lambdaId)?.active === undefined ? { state, stateDetail } : {};
  }

  function lambdaOf(lambdaId: string): LambdaEntry {
    const lambda = registry.lambda(lambdaId);
    if (lambda === undefined) throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
    return lambda;
  }

  function retire(lambdaId: string, version: number, reason: 'update' | 'delete' | 'disable'): void {
    pool
      .retire(lambdaId, version, reason)
      .catch((err: unknown) => log.error({ err, lambdaId, version }, 'retiring failed'));
  }

  let sweeping: Promise<unknown> = Promise.resolve();
  function sweep(hashes?: readonly string[]): void {
    if (hashes?.length === 0) return;
    const swept = store.sweepBlobs(hashes).then(
      (count) => count > 0 && log.debug({ blobs: count }, 'swept'),
      (err: unknown) => log.error({ err }, 'sweeping blobs failed'),
    );
    sweeping = Promise.all([sweeping, swept]);
  }

  return { run, serve, bundled, retire, sweep, swept: () => sweeping.then(() => undefined) };
}

const parseSettings = (text: string | null): Settings =>
  text === null ? { parameters: {}, deployParameters: {} } : (JSON.parse(text) as Settings);

function merged(
  lambda: LambdaEntry,
  { deployParameters, userConfig }: Settings,
): { deployParameters: DeployParameters; userConfig: unknown } {
  return {
    deployParameters: { ...lambda.deployParameters, ...deployParameters },
    userConfig: userConfig ?? lambda.userConfig,
  };
}

/** Settings as columns of the lambda; only those that were given. */
export function changeOf(lambda: LambdaEntry, settings: Settings): LambdaChange {
  const { amqp, ...parameters } = settings.parameters;
  const change: LambdaChange = {
    ...parameters,
    ...(amqp === undefined ? {} : { amqp: amqp === null ? null : JSON.stringify(amqp) }),
    ...(settings.userConfig === undefined ? {} : { userConfig: JSON.stringify(settings.userConfig) }),
  };
  if (Object.keys(settings.deployParameters).length === 0) return change;
  return { ...change, deployParameters: JSON.stringify(merged(lambda, settings).deployParameters) };
}
