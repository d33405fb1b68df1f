import { Agent } from 'undici';
import type { ServiceConfig, ServiceManifest } from '../config/services.ts';
import type { BridgeCall } from '../protocol/messages.ts';
import { refused, type BridgeAnswer } from './answer.ts';
import { forwardableHeaders, receivedHeaders } from './egress/headers.ts';
import { readBounded, TooLargeError } from './egress/read-bounded.ts';

/** Calls of `request.clients.<service>`: the host makes them, adds account and credentials, and checks them against the manifest. */
export interface ServiceClients {
  call(
    service: string,
    accountId: string,
    call: BridgeCall,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<BridgeAnswer>;
  /** Calls from now on go by these; those under way end as they began. */
  reconfigure(services: Services): void;
  close(): Promise<void>;
}

type Services = Readonly<Record<string, ServiceConfig>>;

export function createServiceClients(initial: Services): ServiceClients {
  let services = initial;
  const agent = new Agent({
    connections: 64,
    keepAliveTimeout: 4_000,
    maxHeaderSize: 32 * 1024,
    connect: { timeout: 5_000 },
  });

  async function call(
    name: string,
    accountId: string,
    { method = 'GET', url = '', headers = [] }: BridgeCall,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<BridgeAnswer> {
    const service = Object.hasOwn(services, name) ? services[name] : undefined;
    if (!service || !serves(service, accountId))
      return refused('service_disabled', `service "${name}" is not enabled for this account`);
    const path = normalisedPath(url);
    if (path === undefined)
      return refused(
        'url',
        `"${url.slice(0, 200)}" is no path to call: one slash at its start, no backslash, no encoded slash or dot`,
      );
    if (!manifestAllows(service.manifest, method, path.pathname))
      return refused('manifest', `${name}: ${method} ${path.pathname} is not in the service's manifest`);
    const address = new URL(service.address);
    const deadline = AbortSignal.timeout(service.timeoutMs);
    try {
      const reply = await agent.request({
        origin: address.origin,
        path: address.pathname.replace(/\/$/, '') + path.pathname + path.search,
        method: method,
        headers: [
          ...forwardableHeaders(headers, reservedBy(service)),
          'luna-account-id',
          accountId,
          ...Object.entries(service.credentials).flat(),
        ],
        body: body.length > 0 ? body : null,
        signal: AbortSignal.any([signal, deadline]),
        responseHeaders: 'raw',
      });
      const replyHeaders = receivedHeaders(reply.headers);
      const bytes = await readBounded(reply.body, service.replyBytes);
      return {
        reply: {
          ok: true,
          status: reply.statusCode,
          headers: replyHeaders,
          url: path.pathname + path.search,
          redirected: false,
        },
        body: bytes,
      };
    } catch (error) {
      if (error instanceof TooLargeError)
        return refused('too_large', `${name}: the reply has more than ${service.replyBytes} bytes`);
      if (deadline.aborted) return refused('timeout', `${name}: no reply within ${service.timeoutMs} ms`);
      if (signal.aborted) return refused('aborted', 'the invocation ended before the reply came');
      // The cause may name the address and port of an inner network: the guest learns only the kind of failure.
      const code =
        error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'network';
      return refused('network', `${name}: the call failed (${code})`);
    }
  }

  return { call, reconfigure: (changed) => void (services = changed), close: () => agent.destroy() };
}

export const serves = (service: ServiceConfig, accountId: string): boolean =>
  service.enabled && (service.accounts.length === 0 || service.accounts.includes(accountId));

/** Headers that only the host may set on a call to this service. */
function reservedBy(service: ServiceConfig): ReadonlySet<string> {
  return new Set(['luna-account-id', ...Object.keys(service.credentials).map((name) => name.toLowerCase())]);
}

/** A path with dots resolved, so that `/a/../admin` can't pass for `/a/`; undefined where it is none, or leaves its origin. */
function normalisedPath(text: string): URL | undefined {
  if (!text.startsWith('/') || text.startsWith('//') || text.includes('\\')) return undefined;
  // An encoded slash or dot may be decoded behind the service's own edge: it is refused rather than guessed at.
  if (/%2f|%5c|%2e/i.test(text.split('?')[0]!)) return undefined;
  const url = URL.canParse(text, 'http://service.invalid')
    ? new URL(text, 'http://service.invalid')
    : undefined;
  return url?.host === 'service.invalid' ? url : undefined;
}

/** Whether a method and path are a named method's, or under one of the allowed prefixes. */
export function manifestAllows(manifest: ServiceManifest, method: string, path: string): boolean {
  const segments = path.split('/');
  for (const named of Object.values(manifest.methods))
    if (named.method === method && pathMatches(named.path.split('/'), segments)) return true;
  return manifest.allow.some((rule) => {
    const [verb, prefix = '/'] = rule.split(' ');
    const base = prefix.replace(/\/$/, '');
    return (verb === '*' || verb === method) && (path === base || path.startsWith(`${base}/`));
  });
}

function pathMatches(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, index) =>
      /^\{\w+\}$/.test(part) ? segments[index] !== '' : part === segments[index],
    )
  );
}
