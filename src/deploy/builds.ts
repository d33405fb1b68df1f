import type { Builder, BuildResult } from '../archive/types.ts';
import type { Limits } from '../config/limits.ts';
import type { BuildMetrics } from '../telemetry/part-metrics.ts';
import { IsolambdaError } from '../errors/error.ts';
import type { LambdaType } from '../protocol/messages.ts';
import { FairQueue } from './fair-queue.ts';

/** Where the bytes of an archive are: in memory until they are stored, in the store from then on. */
export class ArchiveSource {
  #bytes: Uint8Array | undefined;
  readonly #load: (hash: string) => Promise<Uint8Array>;
  #hash: string | undefined;

  constructor(from: { bytes: Uint8Array } | { hash: string }, load: (hash: string) => Promise<Uint8Array>) {
    this.#load = load;
    if ('bytes' in from) this.#bytes = from.bytes;
    else this.#hash = from.hash;
  }

  /** Its build may be far behind in the queue: the memory is free until then. */
  stored(hash: string): void {
    this.#hash = hash;
    this.#bytes = undefined;
  }

  async bytes(): Promise<Uint8Array> {
    return this.#bytes ?? this.#load(this.#hash!);
  }
}

export interface BuildOrder {
  readonly accountId: string;
  readonly source: ArchiveSource;
  readonly type: LambdaType;
  readonly handler: string | null;
  readonly limits: Limits;
  readonly signal?: AbortSignal | undefined;
  /** Called when it leaves the queue. */
  readonly onBegin?: (() => Promise<void> | void) | undefined;
}

export interface Build {
  readonly result: Promise<BuildResult>;
  readonly started: boolean;
  /** Undefined where it is not done in time, or so many are waiting that it won't be. */
  within(ms: number): Promise<BuildResult | undefined>;
}

export interface Builds {
  order(order: BuildOrder): Build;
  /** Orders whose build has not begun. */
  readonly waiting: number;
}

/** Builds in the queue, for each that may run, beyond which an upload isn't kept waiting for its own. */
const LONG_QUEUE = 8;

export function createBuilds(builder: Builder, concurrency: number, metrics?: BuildMetrics): Builds {
  const queue = new FairQueue(concurrency);

  async function build({ source, type, handler, limits, signal, onBegin }: BuildOrder): Promise<BuildResult> {
    await onBegin?.();
    const { archive_bytes, unpacked_bytes, archive_files, bundle_bytes } = limits;
    const archive = await source.bytes();
    const startedMs = performance.now();
    let result: 'ok' | 'refused' | 'failed' = 'failed';
    try {
      const built = await builder.build(
        {
          archive,
          type,
          handler: handler ?? undefined,
          limits: { archive_bytes, unpacked_bytes, archive_files, bundle_bytes },
        },
        signal,
      );
      result = built.ok ? 'ok' : 'refused';
      return built;
    } finally {
      metrics?.built(result, performance.now() - startedMs);
    }
  }

  return {
    get waiting() {
      return queue.waiting;
    },
    order(order) {
      const queued = queue.run(order.accountId, () => build(order), order.signal);
      const isLong = queue.waiting > LONG_QUEUE * concurrency;
      // Who gave it up doesn't hear of its end.
      queued.done.catch(() => undefined);
      return {
        result: queued.done,
        get started() {
          return queued.started;
        },
        within: (ms) => (isLong ? Promise.resolve(undefined) : inTime(queued.done, ms)),
      };
    },
  };
}

function inTime<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, undefined);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Before an archive is stored without its build's verdict: at least it begins as a zip does. */
export function checkLooksLikeZip(archive: Uint8Array): void {
  const [p, k] = archive;
  if (p === 0x50 && k === 0x4b) return;
  const detail = 'the archive is no zip';
  throw new IsolambdaError('archive_refused', detail, {
    problems: [
      {
        severity: 'error',
        rule: 'zip_not_a_zip',
        message: detail,
        mend: 'upload a zip archive: isolambda pack makes one',
      },
    ],
  });
}
