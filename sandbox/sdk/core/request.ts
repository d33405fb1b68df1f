import { decodeUtf8, encodeUtf8 } from './bytes.ts';
import type { Clients } from './clients.ts';
import { environment } from './environment.ts';
import { RequestInvalid } from './exceptions.ts';
import { headerIn, parseCookies, requestHeaders, type RequestHeaders } from './headers.ts';
import { createLogger, type Logger } from './logger.ts';
import type { CustomMonitoringPoint } from './monitoring.ts';
import type { RequestSignal } from './platform.ts';
import { parseQuery, queryArgs, type QueryArgs } from './query.ts';
import { sendResponse, type LambdaResponse, type ResponseOptions } from './response.ts';
import { validate, type Validator } from './schema.ts';
import type { InvocationScope, LambdaScope } from './scope.ts';

/** The head of an HTTP request, as the host sends it. */
export interface HttpRequestHead {
  readonly requestId: string;
  readonly accountId: string;
  readonly deadlineMs: number;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: readonly string[];
  readonly clientIp: string;
}

/** A request to a lambda. Its parts are made on first use, because most lambdas look at one or two of them. */
export class LambdaRequest<Ctx = AnyUserCtx> {
  readonly #head: HttpRequestHead;
  readonly #body: string | Uint8Array;
  readonly #scope: LambdaScope;
  readonly #invocation: InvocationScope;
  #json: { readonly value: unknown } | undefined;
  #headers: RequestHeaders | undefined;
  #query: Record<string, string[]> | undefined;
  #args: QueryArgs | undefined;
  #cookies: Record<string, string> | undefined;
  #logger: Logger | undefined;
  #clients: Clients | undefined;

  /** Requests are made by isolambda, and in tests by `createTestRequest` of `lambda-tools/testing`. */
  constructor(
    head: HttpRequestHead,
    body: string | Uint8Array,
    scope: LambdaScope,
    invocation: InvocationScope,
  ) {
    this.#head = head;
    this.#body = body;
    this.#scope = scope;
    this.#invocation = invocation;
  }

  get method(): string {
    return this.#head.method;
  }
  /** Below `/proxy`, percent-encoded as received, without the query. */
  get path(): string {
    return this.#head.path;
  }
  get requestId(): string {
    return this.#head.requestId;
  }
  /** The account that calls. */
  get accountId(): string {
    return this.#head.accountId;
  }
  get lambdaId(): string {
    return this.#scope.lambdaId;
  }
  get clientIp(): string {
    return this.#head.clientIp;
  }

  /** The body as JSON, parsed on first use; null where there is no body. What is no JSON is a 400. */
  get json(): unknown {
    if (this.#json === undefined) {
      const text = this.text();
      this.#json = { value: text === '' ? null : parseJson(text, this.#body) };
    }
    return this.#json.value;
  }
  /** The body: text where it is UTF-8, else bytes. */
  get body(): string | Uint8Array {
    return this.#body;
  }
  getBody(): Uint8Array {
    return typeof this.#body === 'string' ? encodeUtf8(this.#body) : this.#body;
  }
  /** The body as text, without a byte order mark; what is no UTF-8 becomes U+FFFD. */
  text(): string {
    const text = typeof this.#body === 'string' ? this.#body : decodeUtf8(this.#body);
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  get headers(): RequestHeaders {
    return (this.#headers ??= requestHeaders(this.#head.headers));
  }
  get contentType(): string | undefined {
    return headerIn(this.#head.headers, 'content-type');
  }
  get cookies(): Readonly<Record<string, string>> {
    return (this.#cookies ??= parseCookies(this.headers.getAll('cookie').join('; ')));
  }
  /** The query, first value of each name: `request.args.page`, `request.args.get("page")`. */
  get args(): QueryArgs {
    return (this.#args ??= queryArgs(this.query));
  }
  /** The query, all values of each name. */
  get query(): Readonly<Record<string, string[]>> {
    return (this.#query ??= parseQuery(this.#head.query));
  }

  get logger(): Logger {
    return (this.#logger ??= createLogger(this.#head.requestId));
  }
  /** The one instance of the lambda's `UserCtx`. */
  get userCtx(): Ctx {
    return this.#scope.userCtx as Ctx;
  }
  get clients(): Clients {
    return (this.#clients ??= this.#scope.clientsFor(this.#invocation.id));
  }
  get config(): { readonly userConfig: Readonly<Record<string, unknown>> } {
    return { userConfig: (this.#scope.userConfig() ?? {}) as Readonly<Record<string, unknown>> };
  }

  /** Aborts at the deadline, or when the caller goes away. */
  get signal(): RequestSignal {
    // One object, two names: which of them the compiler knows depends on the libraries of whoever compiles.
    const signal: unknown = this.#invocation.signal();
    return signal as RequestSignal;
  }
  get deadline(): Date {
    return new Date(this.#head.deadlineMs);
  }
  getRemainingTimeInMillis(): number {
    return Math.max(0, this.#head.deadlineMs - environment().now());
  }

  /** A reply: `sendResponse(201, { json: {...}, headers: {...} })`. */
  sendResponse(
    statusOrOptions: number | (ResponseOptions & { readonly statusCode?: number }) = 200,
    options: ResponseOptions = {},
  ): LambdaResponse {
    return sendResponse(statusOrOptions, options);
  }

  /** Keeps points of the lambda's own monitoring with its logs, a record each, within the limits of logs: `fields.monitoring` is the point. */
  sendToMonitoring(points: readonly CustomMonitoringPoint[]): void {
    for (const { series, tags, fields, time } of points) {
      const point = { series, tags, fields, time };
      environment().writeLog('info', String(series), { monitoring: point }, this.#head.requestId);
    }
  }

  /** The body as a ReadableStream. */
  get stream(): unknown {
    return this.#scope.platform.streamOf(this.getBody());
  }

  declare readonly facesEnabled: boolean;
  declare readonly eventsEnabled: boolean;
  declare readonly senderEnabled: boolean;
  declare readonly handlersEnabled: boolean;
  declare readonly matcherEnabled: boolean;
  declare readonly faceSamplesStoreEnabled: boolean;
  declare readonly bodySamplesStoreEnabled: boolean;
  declare readonly imageOriginStoreEnabled: boolean;
  declare readonly objectOriginStoreEnabled: boolean;
  declare readonly sdkEnabled: boolean;
  declare readonly videoAgentEnabled: boolean;
}

/** A `UserCtx` of which only the lambda knows the class: `StandaloneLambdaRequest<UserCtx>` gives it its type. */
export interface AnyUserCtx {
  readonly [member: string]: (...args: unknown[]) => unknown;
}

/** The request of a `standalone` lambda. */
export class StandaloneLambdaRequest<Ctx = AnyUserCtx> extends LambdaRequest<Ctx> {}

/** The request of a `handlers` lambda. */
export class HandlersLambdaRequest<Ctx = AnyUserCtx> extends LambdaRequest<Ctx> {
  /** The body as JSON. */
  get data(): unknown {
    return this.json;
  }
  /** The body, checked; what the schema refuses is a 400 that says where. */
  getRequestData<Output>(schema: Validator<Output>): Promise<Output> {
    return validate(schema, this.json, 'request body');
  }
  /** From the header `Luna-Handler-Id`. */
  get handlerId(): string | undefined {
    return this.headers.get('luna-handler-id');
  }
}

export function parseJson(text: string, body: string | Uint8Array): unknown {
  if (typeof body !== 'string') throw new RequestInvalid('the body is not JSON: it is not UTF-8');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new RequestInvalid(
      `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
