/**
 * What runner and guest say to each other. There is one function each way: the guest's `deliver(batch)` and the
 * runner's `post(batch)`. A batch is a flat array, four slots an item: type, id, head, body.
 * This file is in both bundles, so it imports nothing.
 */

/** An item: type, id, head (text), body (text, or bytes where the text would not be the same bytes). */
export type Batch = (number | string | Uint8Array)[];
export const ITEM_SLOTS = 4;

/** Items that the runner delivers. */
export const ToGuest = {
  /** id: invocation; head: InvocationHead as JSON; body: the request's. */
  invoke: 1,
  /** id: invocation; head: why, `timeout` or `canceled`. */
  cancel: 2,
  /** id: the guest's call; head: BridgeReply as JSON; body: the reply's. */
  bridgeReply: 3,
  /** head: user configuration as JSON. */
  configure: 4,
  /** The time that the guest asked to be woken at has come. */
  wake: 5,
  /** body: 32 fresh random bytes. */
  random: 6,
  /** Evaluate the lambda's module, make its UserCtx, run `onStart`. */
  start: 7,
  /** Run `onShutdown`. */
  shutdown: 8,
} as const;

/** Items that the guest posts. */
export const FromGuest = {
  /** id: invocation; head: a ReplyHead as JSON; body: the reply's. */
  reply: 1,
  /** id: invocation; head: a GuestFailure as JSON. */
  failure: 2,
  /** id: lines dropped since the last such item; head: LogLines as JSON, separated by commas. */
  log: 3,
  /** id: the guest's call; head: BridgeCall as JSON; body: the request's. */
  bridgeCall: 4,
  /** id: milliseconds from now until the guest wants to be woken. */
  timer: 5,
  /** head: what `Loaded` says besides `ms`, as JSON. */
  started: 6,
  /** head: a GuestFailure as JSON. */
  startFailed: 7,
  /** head: what `onShutdown` threw, or an empty text. */
  shutDown: 8,
  /** Fresh random bytes are wanted. */
  wantRandom: 9,
} as const;

/** A failure as the guest tells it: the stack still has the bundle's positions. */
export interface GuestFailure {
  readonly kind: string;
  readonly detail: string;
  readonly status?: number;
  readonly type?: string;
  readonly stack?: string;
  readonly allow?: string;
  /** For the log line that the runner writes of an unexpected error. */
  readonly requestId?: string;
}

/**
 * Slots of the Int32Array that both sides share, so that the runner's watchdog knows what runs while the guest
 * can't answer. The guest writes, the runner reads.
 */
export const Marker = {
  /** The invocation that runs now; 0 where that is unknown: in microtasks of an entry that touched several. */
  running: 0,
  /** Invocations that this entry has touched. Above TOUCHED_MAX the list is not complete. */
  touched: 1,
  firstTouched: 2,
} as const;
export const TOUCHED_MAX = 64;
export const MARKER_SLOTS = Marker.firstTouched + TOUCHED_MAX;

/** What the guest is told at boot; JSON. */
export interface GuestSettings {
  readonly lambdaId: string;
  readonly accountId: string;
  readonly version: number;
  readonly type: 'standalone' | 'handlers' | 'tasks' | 'rpc';
  readonly handler: string;
  readonly lambdaConfig: unknown;
  readonly userConfig: unknown;
  readonly env: Readonly<Record<string, string>>;
  readonly services: Readonly<
    Record<
      string,
      {
        readonly address: string;
        readonly methods: Readonly<Record<string, { readonly method: string; readonly path: string }>>;
      }
    >
  >;
  readonly limits: {
    readonly reply_bytes: number;
    readonly header_bytes: number;
    readonly log_line_bytes: number;
    readonly log_bytes_per_s: number;
    readonly fetches: number;
    readonly fetch_concurrency: number;
    readonly fetch_bytes: number;
  };
}

/** Names of the scripts in stack traces. */
export const LAMBDA_SCRIPT = 'lambda.js';
export const GUEST_SCRIPT = 'isolambda:guest';
