import { utf8Length } from './bytes.ts';
import { clientsFactory, SERVICE_NAMES, type ServiceDescription } from './clients.ts';
import { deepFreeze, maskSecrets } from './configuration.ts';
import { createHandler, LambdaUserHandler } from './handler.ts';
import { describeLambda, type DescribedRoute } from './openapi.ts';
import { failureOf, failureStatus, type LambdaFailure, type LambdaResult } from './outcome.ts';
import { parameterTaker, type TakesParameters } from './parameters.ts';
import type { Platform } from './platform.ts';
import { count, countedRequests, routeCounts, type RouteCounts } from './request-counts.ts';
import { encodeJson, encodeReply, JSON_HEADERS, type WireReply } from './reply.ts';
import {
  HandlersLambdaRequest,
  LambdaRequest,
  StandaloneLambdaRequest,
  type HttpRequestHead,
} from './request.ts';
import { Router, type Routed } from './router.ts';
import { compileRoute, type Parameters as PathParameters } from './routes.ts';
import { decodeEvent, encodeResult, rpcContext, type RpcRequestHead } from './rpc.ts';
import type { InvocationScope, LambdaScope } from './scope.ts';
import { runTask, taskClassOf, type TaskHead } from './task.ts';
import { staticFiles, type StaticFiles } from './static-files.ts';
import { userMetrics } from './user-metrics.ts';

export interface LambdaOptions {
  readonly lambdaId: string;
  readonly version: number;
  readonly type: 'standalone' | 'handlers' | 'tasks' | 'rpc';
  /** The export that is called. */
  readonly handler: string;
  readonly services: Readonly<Record<string, ServiceDescription>>;
  readonly userConfig: unknown;
  readonly platform: Platform;
}

export type RequestHead =
  | (HttpRequestHead & { readonly kind: 'http' })
  | (RpcRequestHead & { readonly kind: 'rpc' })
  | (TaskHead & { readonly kind: 'task' })
  // The host itself asks for the lambda's metrics: no edge makes such a head.
  | { readonly kind: 'metrics'; readonly requestId: string };

/** A lambda that can be called: its module's exports, its routes, its UserCtx. */
export interface Lambda {
  readonly routes: readonly { readonly route: string; readonly methods: readonly string[] }[];
  readonly queueName: string | undefined;
  /** Makes the UserCtx and runs `onStart`. Rejects with what it throws. */
  start(): Promise<void>;
  /** Runs `onShutdown`. Rejects with what it throws. */
  shutdown(): Promise<void>;
  /** Runs one invocation. Never rejects. */
  run(head: RequestHead, body: string | Uint8Array, invocation: InvocationScope): Promise<LambdaResult>;
  configure(userConfig: unknown): void;
}

type RequestClass = new (
  head: HttpRequestHead,
  body: string | Uint8Array,
  scope: LambdaScope,
  invocation: InvocationScope,
) => LambdaRequest;
type Entry = (...args: unknown[]) => unknown;
interface Target {
  readonly counts: RouteCounts;
  readonly allow: string;
  readonly methods: ReadonlyMap<string, (request: LambdaRequest, parameters: PathParameters) => unknown>;
}

const METHODS = ['get', 'post', 'put', 'patch', 'head', 'options', 'delete'] as const;
const HEALTHY = { status: 'ok' };

/** Builds the lambda from its module's exports. Throws Error for exports that are not what its type needs. */
export function createLambda(exports: Readonly<Record<string, unknown>>, options: LambdaOptions): Lambda {
  const { platform, type } = options;
  const entry = type === 'tasks' ? undefined : entryOf(exports, options.handler);
  const Task = type === 'tasks' ? taskClassOf(exports, options.handler) : undefined;
  const Request = requestClass(type, options.services);
  const scope: LambdaScope & { userCtx: UserCtx | undefined; config: unknown } = {
    lambdaId: options.lambdaId,
    platform,
    userCtx: undefined,
    config: deepFreeze(options.userConfig),
    userConfig: () => scope.config,
    clientsFor: clientsFactory(options.services),
  };
  const added = type === 'rpc' ? [] : addedRoutes(exports);
  const described: DescribedRoute[] = added.map(({ pattern, target, name }) => ({
    pattern,
    name,
    methods: [...target.methods.keys()]
      .map((method) => method.toLowerCase())
      .filter((method) => METHODS.includes(method as 'get')),
  }));

  const callEntry = (request: LambdaRequest): unknown => {
    if (type === 'tasks') return undefined;
    if (type !== 'rpc') return entry!(request);
    return callHandler(decodeEvent(request.contentType ?? '', request.body), {
      requestId: request.requestId,
      accountId: request.accountId,
      deadlineMs: request.deadline.getTime(),
      headers: Object.fromEntries(request.headers.entries()),
    });
  };
  const callHandler = (event: unknown, head: ContextHead): unknown =>
    entry!(event, rpcContext(head, { lambdaId: options.lambdaId, functionName: options.handler }));

  const main = route('/main', type === 'tasks' ? {} : { POST: callEntry });
  const routes = [
    main,
    route('/healthcheck', { GET: () => HEALTHY }),
    route('/config', { GET: () => maskSecrets(scope.config ?? {}) }),
    route('/docs/spec', { GET: () => describeLambda(options, described) }),
    ...added,
  ];
  const router = new Router<Target>(routes);
  const files = staticFiles(exports);
  const mainCounts = main.target.counts;
  const elsewhere = routeCounts('');
  const collect = userMetrics(exports['USER_METRICS']);
  const metricsReply = (): WireReply => ({
    status: 200,
    headers: JSON_HEADERS,
    body: encodeJson({
      ...collect(),
      requests: countedRequests([
        ...routes.map(({ target }) => target.counts),
        ...(files ? [files.counts] : []),
        elsewhere,
      ]),
    }),
  });

  const runHttp = async (
    head: HttpRequestHead,
    body: string | Uint8Array,
    invocation: InvocationScope,
    found: Found | undefined,
  ): Promise<WireReply> => {
    if (found === undefined) throw new RouteError('route_not_found', `this lambda has no route ${head.path}`);
    const { allow, methods } = found.target;
    const call = methods.get(head.method) ?? (head.method === 'HEAD' ? methods.get('GET') : undefined);
    if (call === undefined) {
      if (head.method === 'OPTIONS') return { status: 204, headers: ['allow', allow], body: '' };
      throw new RouteError('method_not_allowed', `${head.path} has no ${head.method}`, allow);
    }
    const reply = await encodeReply(
      await call(new Request(head, body, scope, invocation), found.parameters),
      platform,
    );
    return head.method === 'HEAD' ? { ...reply, body: '' } : reply;
  };

  const runRpc = async (
    head: RpcRequestHead,
    body: string | Uint8Array,
    invocation: InvocationScope,
  ): Promise<WireReply> => {
    if (type === 'rpc')
      return encodeResult(await callHandler(decodeEvent(head.contentType, body), head), platform);
    const http: HttpRequestHead = {
      requestId: head.requestId,
      accountId: head.accountId,
      deadlineMs: head.deadlineMs,
      method: 'POST',
      path: '/main',
      query: '',
      headers: ['content-type', head.contentType],
      clientIp: '',
    };
    return runHttp(http, body, invocation, { target: main.target, parameters: {} });
  };

  return {
    routes: described.map(({ pattern, methods }) => ({
      route: pattern.pattern,
      methods: methods.map((method) => method.toUpperCase()),
    })),
    queueName: queueNameOf(exports['QUEUE_NAME']),
    async start() {
      scope.userCtx = createUserCtx(exports['UserCtx']);
      await scope.userCtx?.onStart?.();
    },
    async shutdown() {
      await scope.userCtx?.onShutdown?.();
    },
    async run(head, body, invocation) {
      let counts = mainCounts;
      try {
        if (head.kind === 'metrics') return { reply: metricsReply() };
        if (head.kind === 'task') {
          if (Task === undefined) throw new RouteError('route_not_found', 'this lambda is of no tasks type');
          return { reply: await runTask(Task, head, body, scope, invocation) };
        }
        // What most requests are goes without the router, and through one async function less.
        if (head.kind === 'http' && head.path === '/main' && head.method === 'POST' && type !== 'tasks') {
          const value = await callEntry(new Request(head, body, scope, invocation));
          const reply = await encodeReply(value, platform);
          count(counts, reply.status);
          return { reply };
        }
        let reply: WireReply;
        if (head.kind === 'http' && files?.owns(head.path) === true) {
          counts = files.counts;
          reply = serveFile(files, head);
        } else if (head.kind === 'http') {
          const found = router.find(head.path);
          counts = found?.target.counts ?? elsewhere;
          reply = await runHttp(head, body, invocation, found);
        } else reply = await runRpc(head, body, invocation);
        count(counts, reply.status);
        return { reply };
      } catch (error) {
        const failure = isRouteError(error) ? routeFailure(error) : failureOf(error);
        if (head.kind !== 'metrics' && head.kind !== 'task') count(counts, failureStatus(failure));
        return { failure };
      }
    },
    configure(userConfig) {
      scope.config = deepFreeze(userConfig);
    },
  };
}

type Found = NonNullable<ReturnType<Router<Target>['find']>>;
type ContextHead = Parameters<typeof rpcContext>[0];

interface UserCtx {
  onStart?(): unknown;
  onShutdown?(): unknown;
}

class RouteError extends Error {
  readonly kind: 'route_not_found' | 'method_not_allowed';
  readonly allow: string | undefined;

  constructor(kind: RouteError['kind'], message: string, allow?: string) {
    super(message);
    this.kind = kind;
    this.allow = allow;
  }
}

/** What was thrown may be a proxy whose traps throw: a rejection here would leave the request without its end. */
function isRouteError(error: unknown): error is RouteError {
  try {
    return error instanceof RouteError;
  } catch {
    return false;
  }
}

const FILE_METHODS = 'GET, HEAD, OPTIONS';

/** The body of a HEAD stays: the edge needs its length, and sends none of it. */
function serveFile(files: StaticFiles, head: HttpRequestHead): WireReply {
  if (head.method === 'OPTIONS') return { status: 204, headers: ['allow', FILE_METHODS], body: '' };
  if (head.method !== 'GET' && head.method !== 'HEAD')
    throw new RouteError('method_not_allowed', `${head.path} has no ${head.method}`, FILE_METHODS);
  const reply = files.serve(head);
  if (reply === undefined) throw new RouteError('route_not_found', `this lambda has no file ${head.path}`);
  return reply;
}

function routeFailure({ kind, message, allow }: RouteError): LambdaFailure {
  return { kind, detail: message, ...(allow === undefined ? {} : { allow }) };
}

function entryOf(exports: Readonly<Record<string, unknown>>, name: string): Entry {
  const entry = exports[name];
  if (typeof entry === 'function') return entry as Entry;
  throw new Error(
    `lambda_main exports no function "${name}": export it, as in "export async function ${name}(...)"`,
  );
}

/** RabbitMQ's names are of 255 bytes at most. */
function queueNameOf(name: unknown): string | undefined {
  if (typeof name !== 'string') return undefined;
  if (utf8Length(name) > 255) throw new Error(`QUEUE_NAME has ${utf8Length(name)} bytes; allowed are 255`);
  return name;
}

function createUserCtx(UserCtx: unknown): UserCtx | undefined {
  if (UserCtx === undefined) return undefined;
  if (typeof UserCtx === 'function') return new (UserCtx as new () => UserCtx)();
  throw new Error('UserCtx must be a class');
}

/** The request class of this lambda: its flags say which services are there. */
function requestClass(type: LambdaOptions['type'], services: LambdaOptions['services']): RequestClass {
  const Base = type === 'handlers' ? HandlersLambdaRequest : StandaloneLambdaRequest;
  const Request = class extends Base {};
  Object.defineProperty(Request, 'name', { value: Base.name });
  for (const service of new Set([...SERVICE_NAMES, ...Object.keys(services)])) {
    Object.defineProperty(Request.prototype, `${service}Enabled`, {
      value: Object.hasOwn(services, service),
      enumerable: true,
    });
  }
  return Request;
}

function route(
  path: string,
  calls: Readonly<Record<string, (request: LambdaRequest, parameters: PathParameters) => unknown>>,
): Routed<Target> {
  const methods = new Map(Object.entries(calls));
  const target = { methods, allow: allowed(Object.keys(calls)), counts: routeCounts(path) };
  return { pattern: compileRoute(path), target };
}

function allowed(methods: readonly string[]): string {
  const all = new Set(methods);
  if (all.has('GET')) all.add('HEAD');
  all.add('OPTIONS');
  return [...all].join(', ');
}

interface AddedRoute extends Routed<Target> {
  readonly name: string;
}

function addedRoutes(exports: Readonly<Record<string, unknown>>): AddedRoute[] {
  const classes = exports['ROUTES_TO_ADD'] ?? [];
  if (!Array.isArray(classes)) throw new Error('ROUTES_TO_ADD must be an array of handler classes');
  return classes.map((Handler: unknown) => {
    const prototype: unknown = typeof Handler === 'function' ? Handler.prototype : undefined;
    if (!(prototype instanceof LambdaUserHandler)) {
      throw new Error('ROUTES_TO_ADD holds something that is no class derived from LambdaUserHandler');
    }
    return addedRoute(Handler as new (request: LambdaRequest) => LambdaUserHandler);
  });
}

function addedRoute(Handler: new (request: LambdaRequest) => LambdaUserHandler): AddedRoute {
  const route = routeOf(Handler);
  const pattern = compileRoute(route);
  const methods = new Map<string, (request: LambdaRequest, parameters: PathParameters) => unknown>();
  for (const method of METHODS) {
    const declared = (Handler.prototype as Partial<Record<string, unknown>>)[method];
    if (typeof declared !== 'function') continue;
    const take: TakesParameters = parameterTaker(declared, pattern.names);
    methods.set(method.toUpperCase(), (request, parameters) => {
      const instance = createHandler(Handler, request);
      return (Reflect.get(instance, method) as Entry).apply(instance, take(parameters));
    });
  }
  if (methods.size === 0) throw new Error(`${Handler.name} has none of the methods ${METHODS.join(', ')}`);
  return {
    pattern,
    name: Handler.name,
    target: { methods, allow: allowed([...methods.keys()]), counts: routeCounts(route) },
  };
}

/** `static route`, or an instance field of that name: then one instance is made just to read it. */
function routeOf(Handler: new (request: LambdaRequest) => LambdaUserHandler): string {
  const { route } = Handler as { route?: unknown };
  if (typeof route === 'string') return route;
  let field: unknown;
  try {
    field = (createHandler(Handler, NO_REQUEST) as { route?: unknown }).route;
  } catch {
    field = undefined;
  }
  if (typeof field === 'string') return field;
  throw new Error(`${Handler.name} has no route: add static route = "/..."`);
}

const NO_REQUEST = Object.freeze(Object.create(LambdaRequest.prototype)) as LambdaRequest;
