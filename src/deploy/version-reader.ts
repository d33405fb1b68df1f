import { setTimeout as delay } from 'node:timers/promises';
import { IsolambdaError } from '../errors/error.ts';
import type { Registry } from '../registry/types.ts';
import type { Store } from '../store/store.ts';
import type { BuildInfo, VersionInfo } from '../store/types.ts';
import { isUnfinished, type VersionRecord } from '../store/versions.ts';
import { orAborted, type Jobs } from './jobs.ts';
import type { Deployer } from './types.ts';

const LOOK_AGAIN_MS = 200;

export interface VersionReader {
  /** Errors: `lambda_not_found`; `archive_gone` where the version is no longer kept; `version_not_found`. */
  get(lambdaId: string, version: number): Promise<VersionRecord>;
  readonly methods: Pick<Deployer, 'versions' | 'build' | 'archive' | 'wait'>;
}

/** What can be asked of a lambda's versions. */
export function createVersionReader(parts: {
  readonly store: Store;
  readonly registry: Registry;
  readonly jobs: Jobs;
}): VersionReader {
  const { store, registry, jobs } = parts;

  async function get(lambdaId: string, version: number): Promise<VersionRecord> {
    const lambda = registry.lambda(lambdaId);
    if (lambda === undefined) throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
    const record = await store.versions.get(lambdaId, version);
    if (record !== undefined) return record;
    if (version >= 1 && version <= lambda.latestVersion)
      throw new IsolambdaError('archive_gone', `version ${version} of lambda ${lambdaId} is no longer kept`);
    throw new IsolambdaError('version_not_found', `lambda ${lambdaId} has no version ${version}`);
  }

  async function build(lambdaId: string, version?: number): Promise<BuildInfo> {
    const asked = version ?? registry.lambda(lambdaId)?.latestVersion ?? 0;
    const record = await get(lambdaId, asked);
    const job = jobs.get(lambdaId);
    const told = job?.version === asked ? job.record(false) : await store.builds.get(lambdaId, asked);
    return {
      lambdaId,
      version: asked,
      state: record.state,
      ...(told ?? { startedAt: null, endedAt: null, log: [], problems: [] }),
    };
  }

  return {
    get,
    methods: {
      async versions(lambdaId, page) {
        const lambda = registry.lambda(lambdaId);
        if (lambda === undefined) throw new IsolambdaError('lambda_not_found', `no lambda ${lambdaId}`);
        const { items, total } = await store.versions.page(lambdaId, page);
        return { items: items.map((record) => info(record, lambda.active?.version)), total, ...page };
      },
      build,
      async archive(lambdaId, version) {
        const asked = version ?? registry.lambda(lambdaId)?.version ?? 0;
        const { archiveHash } = await get(lambdaId, asked);
        if (archiveHash === null)
          throw new IsolambdaError(
            'archive_gone',
            `the archive of version ${asked} was refused: it is not kept`,
          );
        return { bytes: await store.blobs.get(archiveHash), sha256: archiveHash, version: asked };
      },
      async wait(lambdaId, version, signal) {
        const asked = version ?? registry.lambda(lambdaId)?.latestVersion ?? 0;
        // A job that ends may be followed by another before this goes on.
        for (;;) {
          const job = jobs.get(lambdaId);
          if (job?.version === asked) {
            await orAborted(job.done, signal);
            continue;
          }
          const told = await build(lambdaId, asked);
          if (store.hosts === undefined || !isUnfinished(told.state)) return told;
          // Another host has it.
          await delay(LOOK_AGAIN_MS, undefined, { signal });
        }
      },
    },
  };
}

function info(record: VersionRecord, activeVersion: number | undefined): VersionInfo {
  const {
    lambdaId,
    version,
    state,
    archiveHash,
    archiveBytes,
    bundleHash,
    bundleBytes,
    createdAt,
    updatedAt,
  } = record;
  return {
    lambdaId,
    version,
    state,
    archiveHash,
    archiveBytes,
    bundleHash,
    bundleBytes,
    createdAt,
    updatedAt,
    active: version === activeVersion,
  };
}
