/** An AbortSignal, as far as `lambda-tools` needs to name it: this package has no types of the DOM's or Node's. */
export interface LambdaSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  onabort: ((this: never, event: never) => unknown) | null;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: (event: never) => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: (event: never) => void): void;
  dispatchEvent(event: never): boolean;
}

/** The signal as a lambda's own code names it: where its libraries have AbortSignal, that, so that `fetch` takes it. */
export type RequestSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : LambdaSignal;

export interface LambdaAbortController {
  readonly signal: LambdaSignal;
  abort(reason?: unknown): void;
}

/** The web classes that requests and replies meet. The sandbox gives its own; outside, it is what the engine has. */
export interface Platform {
  newAbortController(): LambdaAbortController;
  abortReason(why: 'timeout' | 'canceled'): unknown;
  isResponse(value: object): boolean;
  readResponse(value: object): Promise<{
    readonly status: number;
    readonly headers: readonly (readonly [string, string])[];
    readonly body: string | Uint8Array;
  }>;
  /** A ReadableStream of the bytes. */
  streamOf(bytes: Uint8Array): unknown;
}

interface GlobalResponse {
  readonly status: number;
  readonly headers: Iterable<readonly [string, string]>;
  readonly body: unknown;
  arrayBuffer(): Promise<ArrayBuffer>;
}
interface Globals {
  AbortController: new () => LambdaAbortController;
  DOMException: new (message: string, name: string) => Error;
  Response: new (body?: unknown) => GlobalResponse;
}

const ofGlobal = <K extends keyof Globals>(name: K): Globals[K] =>
  Reflect.get(globalThis, name) as Globals[K];

/** The platform of the globals, as they are when each is used. */
export function globalPlatform(): Platform {
  return {
    newAbortController: () => new (ofGlobal('AbortController'))(),
    abortReason: (why) =>
      why === 'timeout'
        ? new (ofGlobal('DOMException'))('The deadline of the request has passed.', 'TimeoutError')
        : new (ofGlobal('DOMException'))('The caller went away.', 'AbortError'),
    isResponse: (value) => value instanceof ofGlobal('Response'),
    async readResponse(value) {
      const response = value as GlobalResponse;
      return {
        status: response.status,
        headers: [...response.headers],
        body: new Uint8Array(await response.arrayBuffer()),
      };
    },
    streamOf: (bytes) => new (ofGlobal('Response'))(bytes).body,
  };
}
