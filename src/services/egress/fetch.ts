import { lookup as dnsLookup, type LookupAddress, type LookupAllOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import type { BridgeCall } from '../../protocol/messages.ts';
import type { HeaderList } from '../../protocol/outcome.ts';
import { type EgressPolicy } from './rules.ts';
import { forwardableHeaders, receivedHeaders } from './headers.ts';
import { readBounded, TooLargeError } from './read-bounded.ts';
import { type BridgeAnswer, refused } from '../answer.ts';

export interface OutwardRequest {
  readonly policy: EgressPolicy;
  readonly call: BridgeCall;
  readonly body: Uint8Array;
  readonly replyBytes: number;
  readonly signal: AbortSignal;
}

/** `fetch` of lambdas, in the host. Every destination is checked twice: by name before the look-up, by address before the connection. */
export interface Egress {
  /** Never rejects: a refusal or a failure is `{ ok: false }`. */
  fetch(request: OutwardRequest): Promise<BridgeAnswer>;
  close(): Promise<void>;
}

export type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void;

export interface EgressOptions {
  /** The resolver, by default the machine's. */
  readonly lookup?: Lookup | undefined;
  readonly connectTimeoutMs?: number | undefined;
}

const MAX_REDIRECTS = 20; // as the fetch standard has it
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export function createEgress({ lookup = dnsLookup, connectTimeoutMs = 5_000 }: EgressOptions = {}): Egress {
  // A pool of connections per policy: a connection that one account's rules allowed must not serve another's.
  const agents = new Map<EgressPolicy, Agent>();

  const agentOf = (policy: EgressPolicy): Agent => {
    const known = agents.get(policy);
    if (known) return known;
    const agent = new Agent({
      connect: checkedConnector(policy, lookup, connectTimeoutMs),
      connections: 32,
      keepAliveTimeout: 4_000,
      maxHeaderSize: 32 * 1024,
    });
    agents.set(policy, agent);
    if (agents.size > MAX_AGENTS) dropOldest();
    return agent;
  };
  const dropOldest = (): void => {
    const [policy, agent] = agents.entries().next().value!;
    agents.delete(policy);
    void agent.close();
  };

  async function fetch({ policy, call, body, replyBytes, signal }: OutwardRequest): Promise<BridgeAnswer> {
    let method = call.method ?? 'GET';
    if (!METHODS.has(method)) return refused('method', `method ${method} is not allowed`);
    let headers = forwardableHeaders(call.headers ?? []);
    let payload: Uint8Array | null = body.length > 0 && method !== 'GET' && method !== 'HEAD' ? body : null;
    let url = parseTarget(call.url ?? '');
    for (let hop = 0; ; hop += 1) {
      if (typeof url === 'string') return refused('url', url);
      const port = portOf(url);
      if (!policy.allowsHost(bareHost(url), port))
        return refused('egress', `${url.host}: not on the list of destinations (egress)`);
      const reply = await agentOf(policy).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: method,
        headers: [...headers],
        body: payload,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
        responseHeaders: 'raw',
      });
      const replyHeaders = receivedHeaders(reply.headers);
      const location = REDIRECTS.has(reply.statusCode) ? headerOf(replyHeaders, 'location') : undefined;
      if (location === undefined || call.redirect === 'manual') {
        const bytes = await readBounded(reply.body, replyBytes);
        return {
          reply: {
            ok: true,
            status: reply.statusCode,
            headers: replyHeaders,
            url: url.href,
            redirected: hop > 0,
          },
          body: bytes,
        };
      }
      await reply.body.dump();
      if (call.redirect === 'error')
        return refused('redirect', `${url.href} redirects, and redirect is "error"`);
      if (hop >= MAX_REDIRECTS) return refused('redirect', `more than ${MAX_REDIRECTS} redirects`);
      const next = parseTarget(location, url);
      if (typeof next !== 'string' && next.origin !== url.origin)
        headers = forwardableHeaders(headers, SENSITIVE);
      // As the fetch standard: 303, and POST behind 301 or 302, go on as GET without the body.
      if (
        (reply.statusCode === 303 && method !== 'HEAD') ||
        ((reply.statusCode === 301 || reply.statusCode === 302) && method === 'POST')
      ) {
        method = 'GET';
        payload = null;
        headers = forwardableHeaders(headers, ABOUT_BODY);
      }
      url = next;
    }
  }

  return {
    fetch: (request) => fetch(request).catch((error: unknown) => explain(error, request)),
    close: async () => {
      const closing = [...agents.values()];
      agents.clear();
      await Promise.all(closing.map((agent) => agent.destroy()));
    },
  };
}

const MAX_AGENTS = 1_000;
const SENSITIVE: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization']);
const ABOUT_BODY: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'content-language',
  'content-location',
]);

class ForbiddenAddress extends Error {}

/** Connects only to an address that the policy allows for the port: the very answer that was checked, so a name that changes its mind gains nothing. */
function checkedConnector(policy: EgressPolicy, lookup: Lookup, timeout: number): buildConnector.connector {
  const connectors = new Map<number, buildConnector.connector>();
  return (options, callback) => {
    const port = options.port === '' ? (options.protocol === 'https:' ? 443 : 80) : Number(options.port);
    let connector = connectors.get(port);
    if (!connector)
      connectors.set(
        port,
        (connector = buildConnector({ timeout, lookup: checkedLookup(policy, port, lookup) })),
      );
    connector(options, callback);
  };
}

function checkedLookup(policy: EgressPolicy, port: number, lookup: Lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '', 0);
      const allowed = found.filter(({ address }) => policy.allowsAddress(hostname, address, port));
      if (allowed.length === 0)
        return callback(new ForbiddenAddress(`${hostname} resolves to no allowed address`), '', 0);
      if (options.all) callback(null, allowed);
      else callback(null, allowed[0]!.address, allowed[0]!.family);
    });
  };
}

function parseTarget(text: string, base?: URL): URL | string {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    return `"${text.slice(0, 200)}" is no absolute URL`;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `${url.protocol} is not allowed: http and https are`;
  if (url.username !== '' || url.password !== '')
    return 'credentials in the URL are not allowed: send an Authorization header';
  return url;
}

const portOf = (url: URL): number =>
  url.port !== '' ? Number(url.port) : url.protocol === 'https:' ? 443 : 80;
const bareHost = (url: URL): string => {
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return isIP(host) === 0 ? host.toLowerCase() : host;
};

function headerOf(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index] === name) return headers[index + 1];
  return undefined;
}

function explain(error: unknown, { signal, replyBytes }: OutwardRequest): BridgeAnswer {
  if (error instanceof ForbiddenAddress) return refused('egress', error.message);
  if (error instanceof TooLargeError)
    return refused('too_large', `the reply has more than ${replyBytes} bytes (fetch_bytes)`);
  if (signal.aborted) return refused('aborted', 'the invocation ended before the reply came');
  const cause = error instanceof Error ? error : new Error(String(error));
  return refused(
    'network',
    'code' in cause && typeof cause.code === 'string' ? `${cause.code}: ${cause.message}` : cause.message,
  );
}
