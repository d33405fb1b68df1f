/**
 * `lambda-tools/testing`: runs a lambda's code in a test of its own, in this process, without a host or an isolate.
 *
 *     import * as lambda from "../lambda_main.ts";
 *     const reply = await invoke(lambda, createTestRequest({ json: { images: [] } }));
 *     assert.equal(reply.statusCode, 400);
 */
import type { ServiceDescription } from './core/clients.ts';
import { bytesOf, decodeUtf8 } from './core/bytes.ts';
import { bindEnvironment, environment, type ServiceAnswer, type ServiceCall } from './core/environment.ts';
import { requestHeaders, type RequestHeaders } from './core/headers.ts';
import { createLambda, type LambdaOptions } from './core/lambda.ts';
import type { LambdaFailure } from './core/outcome.ts';
import { globalPlatform } from './core/platform.ts';
import type { HttpRequestHead } from './core/request.ts';

const DEFAULT_TIMEOUT_MS = 30_000;

export interface TestRequestOptions {
  /** By default `POST`. */
  readonly method?: string;
  /** By default `/main`. */
  readonly path?: string;
  readonly query?: Readonly<Record<string, string | number | readonly (string | number)[]>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as `application/json`. */
  readonly json?: unknown;
  readonly body?: string | ArrayBuffer | ArrayBufferView;
  readonly requestId?: string;
  readonly accountId?: string;
  readonly clientIp?: string;
  /** Until the deadline, in milliseconds; by default 30,000. */
  readonly timeoutMs?: number;
}

/** A request that `invoke` hands to a lambda. */
export interface TestRequest {
  readonly head: HttpRequestHead;
  readonly body: string | Uint8Array;
}

export function createTestRequest(options: TestRequestOptions = {}): TestRequest {
  const headers = Object.entries(options.headers ?? {}).map(
    ([name, value]) => [name.toLowerCase(), value] as const,
  );
  if (options.json !== undefined && !headers.some(([name]) => name === 'content-type')) {
    headers.push(['content-type', 'application/json']);
  }
  const query = Object.entries(options.query ?? {}).flatMap(([name, value]) =>
    (typeof value === 'object' ? value : [value]).map(
      (item) => `${encodeURIComponent(name)}=${encodeURIComponent(item)}`,
    ),
  );
  return {
    head: {
      requestId: options.requestId ?? 'test-request',
      accountId: options.accountId ?? '00000000-0000-4000-8000-000000000000',
      deadlineMs: Date.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      method: (options.method ?? 'POST').toUpperCase(),
      path: options.path ?? '/main',
      query: query.join('&'),
      headers: headers.flat(),
      clientIp: options.clientIp ?? '127.0.0.1',
    },
    body: options.json === undefined ? bodyOf(options.body) : JSON.stringify(options.json),
  };
}

function bodyOf(body: TestRequestOptions['body']): string | Uint8Array {
  if (body === undefined) return '';
  return typeof body === 'string' ? body : (bytesOf(body) ?? '');
}

export interface InvokeOptions {
  /** By default `standalone`; `handlers` and `rpc` have other requests. */
  readonly type?: LambdaOptions['type'];
  /** The export to call; by default `main`, for `rpc` `lambda_handler`. */
  readonly handler?: string;
  readonly userConfig?: Readonly<Record<string, unknown>>;
  readonly services?: Readonly<Record<string, Partial<ServiceDescription>>>;
  /** Answers the calls of `request.clients`. */
  readonly callService?: (call: ServiceCall) => Promise<ServiceAnswer> | ServiceAnswer;
}

/** What the caller of the lambda would get. */
export interface TestReply {
  readonly statusCode: number;
  readonly headers: RequestHeaders;
  readonly body: string | Uint8Array;
  readonly json: unknown;
  /** Why it is an error reply; undefined for the lambda's own replies. */
  readonly failure: LambdaFailure | undefined;
}

const STATUS: Readonly<Record<LambdaFailure['kind'], number>> = {
  user_exception: 400,
  exception: 500,
  reply_not_serializable: 500,
  reply_invalid: 502,
  reply_too_large: 502,
  request_invalid: 400,
  route_not_found: 404,
  method_not_allowed: 405,
  start_failed: 503,
};

/** Makes the UserCtx, runs `onStart`, the request and `onShutdown`. What `onStart` or `onShutdown` throw is thrown. */
export async function invoke(
  lambdaModule: Readonly<Record<string, unknown>>,
  request: TestRequest,
  options: InvokeOptions = {},
): Promise<TestReply> {
  const type = options.type ?? 'standalone';
  const platform = globalPlatform();
  const lambda = createLambda(lambdaModule, {
    lambdaId: 'test-lambda',
    version: 1,
    type,
    handler: options.handler ?? (type === 'rpc' ? 'lambda_handler' : 'main'),
    services: servicesOf(options.services ?? {}),
    userConfig: options.userConfig ?? {},
    platform,
  });
  const before = environment();
  const { callService } = options;
  if (callService !== undefined)
    bindEnvironment({ ...before, callService: async (call) => callService(call) });
  const abort = platform.newAbortController();
  const left = request.head.deadlineMs - Date.now();
  const timers = globalThis as typeof globalThis & Timers;
  const timer = timers.setTimeout(() => abort.abort(platform.abortReason('timeout')), left);
  try {
    await lambda.start();
    const result = await lambda.run({ kind: 'http', ...request.head }, request.body, {
      id: 1,
      signal: () => abort.signal,
    });
    await lambda.shutdown();
    return 'reply' in result
      ? replyOf(result.reply.status, result.reply.headers, result.reply.body, undefined)
      : failureReply(result.failure);
  } finally {
    timers.clearTimeout(timer);
    bindEnvironment(before);
  }
}

interface Timers {
  setTimeout(callback: () => void, ms: number): number;
  clearTimeout(timer: number): void;
}

function servicesOf(given: NonNullable<InvokeOptions['services']>): Record<string, ServiceDescription> {
  return Object.fromEntries(
    Object.entries(given).map(([name, service]) => [
      name,
      { address: service.address ?? `http://${name}.test`, methods: service.methods ?? {} },
    ]),
  );
}

function failureReply(failure: LambdaFailure): TestReply {
  const status = failure.status ?? STATUS[failure.kind];
  const headers = [
    'content-type',
    'application/json',
    ...(failure.allow === undefined ? [] : ['allow', failure.allow]),
  ];
  return replyOf(status, headers, JSON.stringify({ detail: failure.detail }), failure);
}

function replyOf(
  statusCode: number,
  headers: readonly string[],
  body: string | Uint8Array,
  failure: LambdaFailure | undefined,
): TestReply {
  return {
    statusCode,
    headers: requestHeaders(headers),
    body,
    failure,
    get json() {
      return JSON.parse(typeof body === 'string' ? body : decodeUtf8(body)) as unknown;
    },
  };
}
