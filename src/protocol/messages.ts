/**
 * What host and runner say to each other: the head of each frame type.
 * The host checks every head that a runner sends (`parseRunnerHead`): a runner may have been taken over.
 */
import { Compile } from 'typebox/compile';
import { Type, type Static } from 'typebox';
import { FrameType, FrameError } from './frame.ts';
import { isFailureKind, type Failure, type HeaderList } from './outcome.ts';

export type LambdaType = 'standalone' | 'handlers' | 'tasks' | 'rpc';

/** Host to runner, first frame: the versions must match. */
export interface Hello {
  readonly protocol: number;
  readonly maxFrameBytes: number;
  /** `memory_mb` of the isolate that the runner makes ahead. */
  readonly aheadMb: number;
}

/** The limits that the runner itself enforces on one isolate. Units as in the limits' names. */
export interface IsolateLimits {
  readonly memory_mb: number;
  readonly cpu_ms: number;
  readonly startup_ms: number;
  readonly shutdown_ms: number;
  readonly reply_bytes: number;
  readonly header_bytes: number;
  readonly log_line_bytes: number;
  readonly log_bytes_per_s: number;
  readonly fetches: number;
  readonly fetch_concurrency: number;
  readonly fetch_bytes: number;
}

/** A service that the operator enabled for this account: what the guest needs to offer `clients.<name>`. */
export interface ServiceDescription {
  readonly address: string;
  /** Named methods of the client: `saveEvents` to `POST /events`. */
  readonly methods: Readonly<Record<string, { readonly method: string; readonly path: string }>>;
}

/** Host to runner: make an isolate. The frame's body is the bundle's code, followed by its source map. */
export interface Load {
  readonly lambdaId: string;
  readonly accountId: string;
  readonly version: number;
  readonly type: LambdaType;
  /** The export to call: `main`, `LambdaTask`, or the handler chosen for an `rpc` lambda. */
  readonly handler: string;
  readonly codeBytes: number;
  readonly limits: IsolateLimits;
  /** `lambda_config.yml`, as JSON. */
  readonly lambdaConfig: unknown;
  readonly userConfig: unknown;
  readonly env: Readonly<Record<string, string>>;
  readonly services: Readonly<Record<string, ServiceDescription>>;
  readonly debugErrors: boolean;
  /** Collect a CPU profile, sent with `unloaded`. */
  readonly profile: boolean;
  /**
   * Entries that are usually brief may hold up the runner's own thread. The host then watches the process: while it answers nothing, it may
   * use `cpu_ms` of CPU.
   */
  readonly inline: boolean;
}

export interface Unload {
  readonly reason: 'update' | 'delete' | 'disable' | 'idle' | 'shutdown';
  /** How long invocations in flight may still run before they are cut off. */
  readonly graceMs: number;
}

export interface Configure {
  readonly userConfig: unknown;
}

/** What the guest asks of the host: `fetch`, a service call. The body travels beside it. */
const BridgeCall = Type.Object({
  bridge: Type.Union([Type.Literal('fetch'), Type.Literal('service')]),
  /** The invocation on whose account the call runs; 0 for `onStart` and `onShutdown`. */
  invocation: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
  /** `service`: the client's name. */
  service: Type.Optional(Type.String({ maxLength: 64 })),
  method: Type.Optional(Type.String({ maxLength: 32 })),
  /** `fetch`: an absolute URL. `service`: a path with its query. */
  url: Type.Optional(Type.String({ maxLength: 16_384 })),
  headers: Type.Optional(Type.Array(Type.String())),
  redirect: Type.Optional(
    Type.Union([Type.Literal('follow'), Type.Literal('manual'), Type.Literal('error')]),
  ),
});
export type BridgeCall = Static<typeof BridgeCall>;

/** The host's answer to a bridge call. The body travels beside it. */
export type BridgeReply =
  | {
      readonly ok: true;
      readonly status: number;
      readonly headers: HeaderList;
      readonly url: string;
      readonly redirected: boolean;
    }
  | { readonly ok: false; readonly error: string; readonly code: string };

const LogLine = Type.Object({
  level: Type.Union([
    Type.Literal('debug'),
    Type.Literal('info'),
    Type.Literal('warning'),
    Type.Literal('error'),
    Type.Literal('critical'),
  ]),
  /** Epoch milliseconds, by the isolate's clock. */
  time: Type.Number(),
  message: Type.String(),
  requestId: Type.Optional(Type.String({ maxLength: 128 })),
  fields: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type LogLine = Static<typeof LogLine>;

const Ready = Type.Object({ protocol: Type.Integer(), node: Type.String(), v8: Type.String() });
const Loaded = Type.Object({
  /** Milliseconds from the frame's arrival to `onStart` done. */
  ms: Type.Number(),
  /** Patterns of the added routes, for the list of a lambda's routes. */
  routes: Type.Array(Type.Object({ route: Type.String(), methods: Type.Array(Type.String()) })),
  /** `export const QUEUE_NAME`. */
  queueName: Type.Optional(Type.String({ maxLength: 255 })),
});
const FailureHead = Type.Object({
  kind: Type.String(),
  detail: Type.String(),
  status: Type.Optional(Type.Integer({ minimum: 100, maximum: 999 })),
  type: Type.Optional(Type.String()),
  stack: Type.Optional(Type.String()),
  allow: Type.Optional(Type.String()),
  retryAfterMs: Type.Optional(Type.Number({ minimum: 0 })),
});
const ReplyHead = Type.Object({
  kind: Type.Literal('reply'),
  status: Type.Integer({ minimum: 200, maximum: 599 }),
  headers: Type.Array(Type.String()),
});
const LogHead = Type.Object({ lines: Type.Array(LogLine), dropped: Type.Integer({ minimum: 0 }) });
const IsolateGone = Type.Object({
  reason: Type.Union([
    Type.Literal('cpu_limit'),
    Type.Literal('memory_limit'),
    Type.Literal('timeout'),
    Type.Literal('crash'),
    Type.Literal('load_failed'),
  ]),
  detail: Type.String(),
  /** Invocations that had not entered the isolate: they may run in a fresh one. */
  notEntered: Type.Array(Type.Integer({ minimum: 1, maximum: 0xffffffff })),
});
const Pong = Type.Object({
  isolates: Type.Array(
    Type.Object({
      isolate: Type.Integer(),
      heapBytes: Type.Number(),
      cpuMs: Type.Number(),
      inFlight: Type.Integer(),
    }),
  ),
});
const Unloaded = Type.Object({
  /** What `onShutdown` threw, if it did. */
  error: Type.Optional(Type.String()),
});

export type Ready = Static<typeof Ready>;
export type Loaded = Static<typeof Loaded>;
export type LogHead = Static<typeof LogHead>;
export type IsolateGone = Static<typeof IsolateGone>;
export type Pong = Static<typeof Pong>;
export type Unloaded = Static<typeof Unloaded>;
/** The head of a `result` frame: an outcome without its body. */
export type ResultHead = Static<typeof ReplyHead> | Failure;

/** Heads by frame type, as the host has checked them. */
export interface RunnerHeads {
  ready: Ready;
  loaded: Loaded;
  loadFailed: Failure;
  result: ResultHead;
  log: LogHead;
  bridgeCall: BridgeCall;
  isolateGone: IsolateGone;
  pong: Pong;
  unloaded: Unloaded;
}

const CHECKS = new Map<keyof RunnerHeads, { Check(value: unknown): boolean }>([
  ['ready', Compile(Ready)],
  ['loaded', Compile(Loaded)],
  ['log', Compile(LogHead)],
  ['bridgeCall', Compile(BridgeCall)],
  ['isolateGone', Compile(IsolateGone)],
  ['pong', Compile(Pong)],
  ['unloaded', Compile(Unloaded)],
]);
const replyCheck = Compile(ReplyHead);
const failureCheck = Compile(FailureHead);

/** The message in a frame that a runner sent. Throws FrameError for anything that the protocol does not allow. */
export function parseRunnerHead<K extends keyof RunnerHeads>(name: K, head: string): RunnerHeads[K] {
  let value: unknown;
  try {
    value = JSON.parse(head);
  } catch {
    throw new FrameError(`${name}: its head is not JSON`);
  }
  if (name === 'result' && replyCheck.Check(value)) return value as RunnerHeads[K];
  if (name === 'result' || name === 'loadFailed') {
    if (failureCheck.Check(value) && isFailureKind(value.kind)) return value as RunnerHeads[K];
    throw new FrameError(`${name}: not an outcome`);
  }
  if (!CHECKS.get(name)?.Check(value)) throw new FrameError(`${name}: its head has the wrong shape`);
  return value as RunnerHeads[K];
}

const RUNNER_FRAME_NAMES = new Map<number, keyof RunnerHeads>(
  (
    [
      'ready',
      'loaded',
      'loadFailed',
      'result',
      'log',
      'bridgeCall',
      'isolateGone',
      'pong',
      'unloaded',
    ] as const
  ).map((name) => [FrameType[name], name]),
);

/** The name of a frame type that runners may send; throws FrameError for any other. */
export function runnerFrameName(type: number): keyof RunnerHeads {
  const name = RUNNER_FRAME_NAMES.get(type);
  if (name === undefined) throw new FrameError(`frame type ${type} is not a runner's`);
  return name;
}
