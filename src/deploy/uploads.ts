import type { BuildResult } from '../archive/types.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { LambdaType } from '../protocol/messages.ts';
import type { DeployRegistry } from '../registry/types.ts';
import type { Repositories, Store } from '../store/store.ts';
import { isUnfinished, type VersionRecord } from '../store/versions.ts';
import { ArchiveSource, checkLooksLikeZip, type Build, type Builds } from './builds.ts';
import type { Job, Jobs } from './jobs.ts';
import { checkArchiveSize } from './parameters.ts';
import { refusal } from './problems.ts';
import type { Rollout } from './rollout.ts';

export interface UploadParts {
  readonly store: Store;
  readonly registry: DeployRegistry;
  readonly jobs: Jobs;
  readonly builds: Builds;
  readonly rollout: Rollout;
  readonly now: () => number;
  /** An upload waits so long for its build; then it is stored, acknowledged, and built behind. */
  readonly answerWithinMs: number;
}

export interface UploadOrder {
  readonly lambdaId: string;
  readonly accountId: string;
  readonly archive: Uint8Array;
  readonly type: LambdaType;
  readonly handler: string | null;
  /** JSON of what is applied once the version serves; null where nothing is. */
  readonly settings: string | null;
  /** Which number the version gets; asked once the archive is known to be good. */
  readonly version: () => number;
  /** Commits the rows of `write` with whatever else the upload needs. */
  readonly commit: (version: VersionRecord, write: (tx: Repositories) => Promise<void>) => Promise<void>;
}

export interface Uploads {
  /** Durable once it resolves with the version; the rest goes on behind it. When it rejects, nothing is kept. */
  accept(order: UploadOrder): Promise<number>;
  /** Takes up a version that a stop or a kill left, unless another host has done so. */
  resume(version: VersionRecord): Promise<void>;
}

export function createUploads(parts: UploadParts): Uploads {
  const { store, registry, jobs, builds, rollout, now, answerWithinMs } = parts;
  const load = (hash: string): Promise<Uint8Array> => store.blobs.get(hash);

  async function accept(order: UploadOrder): Promise<number> {
    checkArchiveSize(order.archive, registry.limits(order.accountId));
    const job = await jobs.begin(order.lambdaId, order.accountId);
    try {
      const source = new ArchiveSource({ bytes: order.archive }, load);
      const build = orderBuild(job, order, source);
      const early = await build.within(answerWithinMs);
      if (early === undefined) checkLooksLikeZip(order.archive);
      else if (!early.ok) throw refusal(early.problems);
      const version = await keep(job, order, early);
      source.stored(version.archiveHash!);
      follow(job, version, build);
      return version.version;
    } catch (error) {
      jobs.end(job);
      // The host closes, or the lambda was deleted: that is the reason, whatever the builder made of it.
      if (job.signal.aborted) throw job.signal.reason;
      job.abort(new IsolambdaError('canceled', 'the upload was refused'));
      throw error;
    }
  }

  function orderBuild(
    job: Job,
    { accountId, type, handler }: Pick<UploadOrder, 'accountId' | 'type' | 'handler'>,
    source: ArchiveSource,
  ): Build {
    return builds.order({
      accountId,
      source,
      type,
      handler,
      limits: registry.limits(accountId),
      signal: job.signal,
      onBegin: () => {
        job.state = 'building';
        job.note('building');
        return job.version === undefined ? undefined : begun(job);
      },
    });
  }

  /** Archive, bundle and rows reach the disk; the rows last, so that they never refer to what isn't there. */
  async function keep(job: Job, order: UploadOrder, early: BuildResult | undefined): Promise<VersionRecord> {
    const stored = await Promise.allSettled([
      store.blobs.put(order.archive),
      early?.ok === true ? rollout.bundled(early) : undefined,
    ]);
    const [archive, bundle] = stored;
    try {
      if (archive.status === 'rejected') throw archive.reason;
      if (bundle.status === 'rejected') throw bundle.reason;
      if (early !== undefined) {
        job.found(early.problems);
        job.note('built');
        job.state = 'starting';
      }
      const time = now();
      const version: VersionRecord = {
        lambdaId: order.lambdaId,
        version: order.version(),
        state: job.state,
        type: order.type,
        handler: order.handler,
        entry: null,
        queueName: null,
        lambdaConfig: null,
        archiveHash: archive.value.hash,
        archiveBytes: archive.value.bytes,
        bundleHash: null,
        bundleBytes: 0,
        ...bundle.value?.columns,
        settings: order.settings,
        createdAt: time,
        updatedAt: time,
      };
      await order.commit(version, async (tx) => {
        await job.stillOurs(tx);
        await tx.versions.insert(version);
        await tx.builds.put(version.lambdaId, version.version, job.record(false));
      });
      job.version = version.version;
      return version;
    } catch (error) {
      release();
      rollout.sweep(hashes());
      throw error;
    } finally {
      release();
    }

    function release(): void {
      if (archive.status === 'fulfilled') archive.value.release();
      if (bundle.status === 'fulfilled') bundle.value?.release();
    }
    function hashes(): string[] {
      const found = archive.status === 'fulfilled' ? [archive.value.hash] : [];
      const bundleHash = bundle.status === 'fulfilled' ? bundle.value?.columns.bundleHash : undefined;
      return bundleHash == null ? found : [...found, bundleHash];
    }
  }

  function follow(job: Job, version: VersionRecord, build: Build | undefined): void {
    // Its build began while it was being stored: that was not known when the rows were made.
    if (job.state !== version.state) void begun(job).catch(() => undefined);
    job.done = rollout.run(job, version, build?.result).finally(() => jobs.end(job));
  }

  /** A build left the queue. */
  async function begun(job: Job): Promise<void> {
    const { lambdaId, version } = job;
    const isFirst = registry.lambda(lambdaId)?.active === undefined;
    await registry.changeLambda(lambdaId, isFirst ? { state: 'building', stateDetail: '' } : {}, {
      write: async (tx) => {
        await job.stillOurs(tx);
        await tx.versions.update(lambdaId, version!, { state: 'building', updatedAt: now() });
      },
    });
  }

  return {
    accept,
    async resume(left) {
      const lambda = registry.lambda(left.lambdaId);
      if (lambda === undefined || jobs.get(left.lambdaId) !== undefined) return;
      const job = await jobs.begin(left.lambdaId, lambda.accountId);
      // Whoever had it may have brought it to its end before the claim was ours.
      const version = await store.versions.get(left.lambdaId, left.version);
      if (version === undefined || !isUnfinished(version.state)) return jobs.end(job);
      job.version = version.version;
      job.note('taken up again after a host ended');
      if (version.bundleHash !== null)
        return follow(
          Object.assign(job, { state: 'starting' }),
          { ...version, state: 'starting' },
          undefined,
        );
      const source = new ArchiveSource({ hash: version.archiveHash! }, load);
      const { type, handler } = version;
      const build = orderBuild(job, { accountId: lambda.accountId, type, handler }, source);
      follow(job, { ...version, state: job.state }, build);
    },
  };
}
