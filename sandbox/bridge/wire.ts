/**
 * What runner and guest say to each other. There is one function each way, besides a question about host names: the
 * guest's `deliver(count, text, ...apart)` and the runner's `post(index, text, apart)`. An item is four numbers (type, id, length of its head, length of its
 * body) and two texts; all texts of a batch are joined into one, because one string crosses between isolates as a copy
 * of its bytes, while an array of strings is serialised value by value: that was a third of the runner's main thread.
 * The numbers of what is delivered stand in shared memory (`Inbox`). Those of what is posted are text, too: the runner
 * reads them once, and what it reads can't change meanwhile.
 * This file is in both bundles, so it imports nothing.
 */

/** A body: text, or bytes where the text would not be the same bytes. */
export type Body = string | Uint8Array;
export const ITEM_SLOTS = 4;

/** Length of a body that does not stand in the batch's text, but next in its list of bodies apart. */
export const APART = -1;
/** Longer texts go apart: a lambda that keeps a body keeps the whole text it is a part of. */
export const MAX_JOINED_CHARS = 8 * 1024;

export const isApart = (body: Body): boolean => typeof body !== 'string' || body.length > MAX_JOINED_CHARS;

/** The guest's way in: so many items, whose numbers are in the inbox. */
export type Deliver = (count: number, text: string, ...apart: readonly Body[]) => void;
/**
 * The guest's way out: the items' numbers, each followed by a comma. There are two: one returns at once, and the runner hears on its own
 * thread; the other, for inline entries, which run on that thread, when the runner has heard.
 */
export type Post = (index: string, text: string, apart?: readonly Body[]) => void;

/** The guest's question for a host name (sandbox/bridge/domain.ts); the one call that is answered at once. */
export type DomainToAscii = (domain: string) => string;

/** Items that the runner delivers. */
export const ToGuest = {
  /** id: invocation; head: InvocationHead as JSON; body: the request's. */
  invoke: 1,
  /** id: invocation; head: why, `timeout` or `canceled`; `interrupted` asks it to end by itself. */
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
  /** id: invocation; body: JSON text. A reply with status 200 and no header but its content type, as most are. */
  json: 10,
  /** id: invocation; body: bytes, or a text of the same bytes. The same of a reply of bytes: `application/octet-stream`. */
  bytes: 11,
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

/** Most items that one entry takes. */
export const MAX_ITEMS = 64;
/** Behind the marker, in the same shared memory: 1 while an entry is inline. The runner writes, the guest reads. */
export const INLINE_AT = MARKER_SLOTS;
/** Then the numbers of the items that are being delivered. The runner writes, the guest reads. */
export const INBOX_AT = INLINE_AT + 1;
export const SHARED_SLOTS = INBOX_AT + MAX_ITEMS * ITEM_SLOTS;

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
