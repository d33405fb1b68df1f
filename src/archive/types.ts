import type { Problem } from '../errors/problem.ts';
import type { LambdaType } from '../protocol/messages.ts';

export interface BuildRequest {
  readonly archive: Uint8Array;
  readonly type: LambdaType;
  /** The export that an `rpc` lambda is called by; by default `lambda_handler`. */
  readonly handler?: string | undefined;
  readonly limits: {
    readonly archive_bytes: number;
    readonly unpacked_bytes: number;
    readonly archive_files: number;
    readonly bundle_bytes: number;
  };
}

/** What a good archive becomes. */
export interface Bundle {
  /** One script, a function expression that the guest calls: see sandbox/guest. UTF-8. */
  readonly code: Uint8Array;
  /** Source map v3 as JSON, UTF-8; its sources are paths in the archive. */
  readonly map: Uint8Array;
  /** `lambda_config.yml` as JSON; null where there is none. */
  readonly lambdaConfig: unknown;
  /** The export that will be called: `main`, `LambdaTask`, `lambda_handler` or the handler chosen. */
  readonly handler: string;
  /** `export const QUEUE_NAME = "..."`, where it stands as a literal. */
  readonly queueName?: string | undefined;
}

export type BuildResult =
  | { readonly ok: true; readonly bundle: Bundle; readonly problems: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export interface Builder {
  /** Checks and bundles one archive in a child process of its own. Rejects with IsolambdaError `build_failed` when the child broke its limits. */
  build(request: BuildRequest, signal?: AbortSignal): Promise<BuildResult>;
  /** Ends the children; idempotent. */
  close(): Promise<void>;
}
