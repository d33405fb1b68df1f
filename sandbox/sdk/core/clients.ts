import { bytesOf, decodeUtf8 } from './bytes.ts';
import { environment } from './environment.ts';
import { show } from './logger.ts';
import { requestHeaders, type RequestHeaders } from './headers.ts';

/** A service that the operator enabled for this account. */
export interface ServiceDescription {
  readonly address: string;
  readonly methods: Readonly<Record<string, { readonly method: string; readonly path: string }>>;
}

export interface CallOptions {
  readonly json?: unknown;
  readonly body?: string | ArrayBuffer | ArrayBufferView | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, unknown>> | undefined;
}

/** A service's answer. A status of 400 and above is an answer, too: see `ok`. */
export interface ServiceReply {
  readonly statusCode: number;
  readonly status: number;
  readonly ok: boolean;
  readonly headers: RequestHeaders;
  /** Parsed on first use; throws SyntaxError for what is no JSON. */
  readonly json: unknown;
  readonly body: Uint8Array | string;
  text(): string;
}

/** A method that the service's manifest names: `saveEvents({ events })`. */
export type NamedMethod = (
  args?: Readonly<Record<string, unknown>>,
  options?: CallOptions,
) => Promise<ServiceReply>;

interface ServiceVerbs {
  getAddress(): string;
  get(path: string, options?: CallOptions): Promise<ServiceReply>;
  head(path: string, options?: CallOptions): Promise<ServiceReply>;
  post(path: string, options?: CallOptions): Promise<ServiceReply>;
  put(path: string, options?: CallOptions): Promise<ServiceReply>;
  patch(path: string, options?: CallOptions): Promise<ServiceReply>;
  delete(path: string, options?: CallOptions): Promise<ServiceReply>;
}

/** The verbs that all services have, and the methods of this one's manifest. */
export type ServiceClient = ServiceVerbs & { readonly [method: string]: NamedMethod };

export const SERVICE_NAMES = [
  'faces',
  'events',
  'sender',
  'handlers',
  'matcher',
  'faceSamplesStore',
  'bodySamplesStore',
  'imageOriginStore',
  'objectOriginStore',
  'sdk',
  'videoAgent',
] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** Each is null where its service is not enabled; its flag, `request.eventsEnabled`, says the same. */
export type Clients = { readonly [K in ServiceName]: ServiceClient | null } & {
  readonly [service: string]: ServiceClient | null;
};

type Call = (method: string, path: string, options: CallOptions) => Promise<ServiceReply>;

/** Makes the clients of one invocation; they come into being when they are used. */
export function clientsFactory(
  services: Readonly<Record<string, ServiceDescription>>,
): (invocation: number) => Clients {
  const names = [...new Set([...SERVICE_NAMES, ...Object.keys(services)])];
  return (invocation) => {
    const made = new Map<string, ServiceClient>();
    const clients = {};
    for (const name of names) {
      const service = Object.hasOwn(services, name) ? services[name] : undefined;
      const get = (): ServiceClient | null => {
        if (service === undefined) return null;
        let client = made.get(name);
        if (client === undefined) made.set(name, (client = createClient(name, service, invocation)));
        return client;
      };
      Object.defineProperty(clients, name, { get, enumerable: true });
    }
    return Object.freeze(clients) as Clients;
  };
}

function createClient(name: string, service: ServiceDescription, invocation: number): ServiceClient {
  const call: Call = async (method, path, options) => {
    const { type, body } = bodyOf(options);
    const headers = Object.entries(options.headers ?? {}).map(
      ([key, value]) => [key.toLowerCase(), value] as const,
    );
    if (type !== undefined && !headers.some(([key]) => key === 'content-type'))
      headers.push(['content-type', type]);
    const answer = await environment().callService({
      service: name,
      method,
      path: withQuery(path, options.query),
      headers,
      body,
      invocation,
    });
    return reply(answer.status, answer.headers.flat(), answer.body);
  };
  const client: Record<string, unknown> = { getAddress: () => service.address };
  for (const verb of ['get', 'head', 'post', 'put', 'patch', 'delete']) {
    client[verb] = (path: string, options: CallOptions = {}) => call(verb.toUpperCase(), path, options);
  }
  for (const [methodName, { method, path }] of Object.entries(service.methods)) {
    client[methodName] = namedMethod(call, methodName, method, path);
  }
  return Object.freeze(client) as ServiceClient;
}

/**
 * `saveEvents({ events })`: the arguments that the path names go into it; the others are the query of GET, HEAD and
 * DELETE, and the JSON body of the rest. A second argument gives further options.
 */
function namedMethod(call: Call, name: string, method: string, path: string) {
  return (args: Readonly<Record<string, unknown>> = {}, options: CallOptions = {}): Promise<ServiceReply> => {
    const rest: Record<string, unknown> = { ...args };
    const filled = path.replace(/\{(\w+)\}/g, (_whole, key: string) => {
      const value = rest[key];
      if (typeof value !== 'string' && typeof value !== 'number')
        throw new TypeError(`${name}: "${key}" must be given`);
      Reflect.deleteProperty(rest, key);
      return encodeURIComponent(String(value));
    });
    if (Object.keys(rest).length === 0) return call(method, filled, options);
    const bodiless = method === 'GET' || method === 'HEAD' || method === 'DELETE';
    return call(method, filled, bodiless ? { query: rest, ...options } : { json: rest, ...options });
  };
}

function bodyOf(options: CallOptions): { type: string | undefined; body: string | Uint8Array | undefined } {
  if (options.json !== undefined && options.body !== undefined)
    throw new TypeError("give 'json' or 'body', not both");
  if (options.json !== undefined) return { type: 'application/json', body: JSON.stringify(options.json) };
  if (options.body === undefined || typeof options.body === 'string')
    return { type: undefined, body: options.body };
  const bytes = bytesOf(options.body);
  if (bytes === undefined) throw new TypeError("'body' must be text or bytes");
  return { type: undefined, body: bytes };
}

function withQuery(path: string, query: CallOptions['query']): string {
  const pairs = Object.entries(query ?? {}).flatMap(([key, value]) =>
    (Array.isArray(value) ? (value as unknown[]) : [value])
      .filter((item) => item !== undefined && item !== null)
      .map((item) => `${encodeURIComponent(key)}=${encodeURIComponent(show(item))}`),
  );
  if (pairs.length === 0) return path;
  return `${path}${path.includes('?') ? '&' : '?'}${pairs.join('&')}`;
}

function reply(status: number, headers: readonly string[], body: string | Uint8Array): ServiceReply {
  const text = (): string => (typeof body === 'string' ? body : decodeUtf8(body));
  let parsed: { value: unknown } | undefined;
  return {
    status,
    statusCode: status,
    ok: status >= 200 && status <= 299,
    headers: requestHeaders(headers),
    body,
    text,
    get json() {
      return (parsed ??= { value: JSON.parse(text()) as unknown }).value;
    },
  };
}
