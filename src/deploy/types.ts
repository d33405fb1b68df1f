import type { InstanceStatus } from '../pool/types.ts';
import type { Problem } from '../errors/problem.ts';
import type { LambdaEntry, Page, PageRequest } from '../registry/types.ts';
import type {
  BuildInfo,
  DeployParameters,
  LambdaParameters,
  LambdaState,
  VersionInfo,
} from '../store/types.ts';

/** What comes with an archive. What is left out has its default at creation, and stays as it is at an update. */
export interface Upload {
  readonly archive: Uint8Array;
  /** `type` must stand at creation. */
  readonly parameters: Partial<LambdaParameters> & { readonly userConfig?: unknown };
  readonly deployParameters: Partial<DeployParameters>;
}

export interface Deployed {
  readonly lambdaId: string;
  readonly version: number;
}

export interface Validation {
  /** True where no problem is an error. */
  readonly valid: boolean;
  readonly problems: readonly Problem[];
}

/** `type` and `handler` need a build: they change with an archive only (`update`). */
export type ParametersPatch = Partial<Omit<LambdaParameters, 'type' | 'handler'>> & {
  readonly userConfig?: unknown;
  /** Each member given replaces the one before; `limits` and `env` as a whole. */
  readonly deployParameters?: Partial<DeployParameters> | undefined;
};

export interface LambdaStatus {
  readonly lambdaId: string;
  readonly state: LambdaState;
  readonly stateDetail: string;
  readonly version: number;
  /** The version that is being built or started behind the one that serves. */
  readonly update: { readonly version: number; readonly state: 'waiting' | 'building' | 'starting' } | null;
  readonly instances: readonly InstanceStatus[];
}

/**
 * Drives a version from uploaded to serving. Every method that takes a `lambdaId` throws `lambda_not_found` where there is
 * none; whose lambda it is, the caller has checked.
 */
export interface Deployer {
  /** Takes up what a stop or a kill left waiting, building or starting, and sweeps blobs that nothing refers to. */
  start(): Promise<void>;
  /**
   * Durable once it resolves. Errors: `account_not_found`, `quota_exceeded`, `bad_request` (parameters), `archive_too_large`,
   * `archive_refused` and `validation` with problems, `build_failed`; nothing is kept then.
   */
  create(accountId: string, upload: Upload): Promise<Deployed>;
  /** As `create`, for a new version; error `update_conflict` while another update of the lambda is under way. */
  update(lambdaId: string, upload: Upload): Promise<Deployed>;
  /** Builds and keeps nothing. What is wrong with the archive is told, not thrown. */
  validate(
    accountId: string,
    upload: Pick<Upload, 'archive' | 'parameters' | 'deployParameters'>,
  ): Promise<Validation>;
  /**
   * Serves an earlier version again, once it has started. Errors: `version_not_found`, `archive_gone`, `update_conflict`,
   * `update_failed` where it does not start: the version before goes on serving.
   */
  rollback(lambdaId: string, version: number): Promise<Deployed>;
  patch(lambdaId: string, patch: ParametersPatch): Promise<LambdaEntry>;
  /** Takes effect without a rebuild, in isolates that run too. */
  setUserConfig(lambdaId: string, userConfig: unknown): Promise<LambdaEntry>;
  switch(lambdaId: string, alive: boolean): Promise<LambdaEntry>;
  delete(lambdaId: string): Promise<void>;
  /** The account with its lambdas, versions, blobs, tokens, quota and usage. Error `account_not_found`. */
  deleteAccount(accountId: string): Promise<void>;

  status(lambdaId: string): LambdaStatus;
  /** Newest first. */
  versions(lambdaId: string, page: PageRequest): Promise<Page<VersionInfo>>;
  /** Of the latest version, or of the given one. Errors: `version_not_found`. */
  build(lambdaId: string, version?: number): Promise<BuildInfo>;
  /** Of the version that serves, or of the given one. Errors: `version_not_found`, `archive_gone`. */
  archive(
    lambdaId: string,
    version?: number,
  ): Promise<{ readonly bytes: Uint8Array; readonly sha256: string; readonly version: number }>;
  /** Resolves once the version is ready or failed; by default the latest. */
  wait(lambdaId: string, version?: number, signal?: AbortSignal): Promise<BuildInfo>;
  /** Resolves once the removals of blobs that are under way have ended. */
  swept(): Promise<void>;
  /** Uploads whose build has not begun. */
  readonly waitingBuilds: number;
  /** No new work; what is under way is left to the next start. Idempotent. */
  close(): Promise<void>;
}
