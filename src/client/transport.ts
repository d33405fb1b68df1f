import { LambdaApiError, LambdaConnectionError, LambdaTimeoutError } from './errors.ts';
import { LambdaReply } from './reply.ts';

export type QueryValue = string | number | boolean | undefined;
export type Query = Readonly<Record<string, QueryValue | readonly QueryValue[]>>;
/** Bytes and forms go as they are; anything else that is not a text goes as JSON. */
export type RequestBody = unknown;

export interface LambdaApiOptions {
  /** Scheme, host and port: `http://127.0.0.1:8080`. A path prefix is kept. */
  readonly origin: string;
  /** Version of the API. */
  readonly api?: 1 | undefined;
  /** Bearer token. Without one, `accountId` is what a host in `trusted-header` mode believes. */
  readonly token?: string | undefined;
  /** Sent as `Luna-Account-Id`: the account that the operator acts for. */
  readonly accountId?: string | undefined;
  /** How long to wait for a whole reply; 60 seconds by default. 0 waits for ever. */
  readonly timeoutMs?: number | undefined;
  /** In place of the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface Call {
  readonly method: string;
  /** Below the origin, percent-encoded. */
  readonly path: string;
  readonly query?: Query | undefined;
  readonly body?: RequestBody;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly accountId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** A status of 400 and above is returned, not thrown. */
  readonly keepErrors?: boolean | undefined;
}

export const DEFAULT_TIMEOUT_MS = 60_000;

/** Sends requests and reads replies. The global `fetch` of Node and of browsers keeps connections open between calls. */
export class Transport {
  readonly origin: string;
  readonly #options: LambdaApiOptions;

  constructor(options: LambdaApiOptions) {
    if (!URL.canParse(options.origin) || !/^https?:$/.test(new URL(options.origin).protocol))
      throw new TypeError(`origin ${JSON.stringify(options.origin)} is not an http or https URL`);
    const given: number = options.api ?? 1;
    if (given !== 1) throw new TypeError(`api ${given} is not known: this client speaks version 1`);
    // Said here, without the token: what `fetch` would say holds it.
    if (options.token !== undefined && !/^[\x21-\x7e]+$/.test(options.token))
      throw new TypeError(
        'the token is empty, or holds spaces, line breaks or other characters that no token has',
      );
    this.#options = options;
    this.origin = options.origin.replace(/\/+$/, '');
  }

  /** One request and its whole reply. Throws LambdaApiError, LambdaConnectionError, LambdaTimeoutError, or the signal's reason. */
  async call<T>(call: Call): Promise<LambdaReply<T>> {
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const timeout = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined;
    const signals = [timeout, call.signal].filter((signal) => signal !== undefined);
    try {
      const response = await this.#send(call, signals.length > 0 ? AbortSignal.any(signals) : undefined);
      const body = new Uint8Array(await response.arrayBuffer());
      const reply = new LambdaReply<T>(response.status, response.headers, body);
      if (reply.statusCode >= 400 && call.keepErrors !== true) throw this.errorOf(reply);
      return reply;
    } catch (error) {
      throw this.#translate(error, call, timeout, timeoutMs);
    }
  }

  /** A reply that goes on: server-sent events. Only `signal` ends it. */
  async stream(call: Call): Promise<ReadableStream<Uint8Array>> {
    try {
      const response = await this.#send(call, call.signal);
      if (response.status >= 400) {
        const body = new Uint8Array(await response.arrayBuffer());
        throw this.errorOf(new LambdaReply(response.status, response.headers, body));
      }
      return response.body ?? new ReadableStream({ start: (controller) => controller.close() });
    } catch (error) {
      throw this.#translate(error, call, undefined, 0);
    }
  }

  errorOf(reply: LambdaReply): LambdaApiError {
    let body: unknown;
    try {
      body = reply.json;
    } catch {
      // No error body of the host's: something in between answered.
    }
    return new LambdaApiError(reply.statusCode, reply.headers, body, this.origin);
  }

  async #send(call: Call, signal: AbortSignal | undefined): Promise<Response> {
    const headers = new Headers(call.headers);
    const { token } = this.#options;
    const accountId = call.accountId ?? this.#options.accountId;
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    if (accountId !== undefined) headers.set('luna-account-id', accountId);
    const body = encodeBody(call.body, headers);
    const fetch = this.#options.fetch ?? globalThis.fetch;
    return fetch(`${this.origin}${call.path}${queryText(call.query)}`, {
      method: call.method,
      headers,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #translate(error: unknown, call: Call, timeout: AbortSignal | undefined, timeoutMs: number): unknown {
    if (error instanceof LambdaApiError) return error;
    if (call.signal?.aborted === true) return call.signal.reason;
    const what = `${call.method} ${this.origin}${call.path}`;
    if (timeout?.aborted === true)
      return new LambdaTimeoutError(`${what}: no reply within ${timeoutMs} ms`, timeoutMs);
    if (error instanceof TypeError)
      return new LambdaConnectionError(`${what}: ${reasonOf(error)}`, { cause: error });
    return error;
  }
}

/** `fetch` says "fetch failed" and keeps the reason in `cause`. */
function reasonOf(error: Error): string {
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  if (cause.message !== '') return cause.message;
  return 'code' in cause ? String(cause.code) : error.message;
}

function encodeBody(body: RequestBody, headers: Headers): NonNullable<RequestInit['body']> | undefined {
  if (body === undefined) return undefined;
  if (body instanceof FormData || body instanceof Blob || body instanceof URLSearchParams) return body;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) {
    if (!headers.has('content-type')) headers.set('content-type', 'application/octet-stream');
    return body instanceof ArrayBuffer ? body : bytesOf(body);
  }
  if (typeof body === 'string') {
    if (!headers.has('content-type')) headers.set('content-type', 'text/plain; charset=utf-8');
    return body;
  }
  if (!headers.has('content-type')) headers.set('content-type', 'application/json');
  return JSON.stringify(body);
}

/** A view's own bytes. Those over shared memory are copied: `fetch` takes no shared memory. */
export function bytesOf(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = view;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength));
}

function queryText(query: Query = {}): string {
  const pairs = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? (value as readonly QueryValue[]) : [value as QueryValue];
    for (const one of values) if (one !== undefined) pairs.append(key, String(one));
  }
  const text = pairs.toString();
  return text === '' ? '' : `?${text}`;
}
