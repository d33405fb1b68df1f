import { BlockList, isIP } from 'node:net';
import { isPublicAddress } from './addresses.ts';

/**
 * Where a lambda's `fetch` may go. A rule is `host`, `host:port`, `*.host`, `*.host:port`, an address, a CIDR range
 * (`10.1.0.0/16`, `10.1.0.0/16:8080`, `[fd00::]/8`), or `*` for every public host. Without a port: 80 and 443.
 * A name allows public addresses only; a private one is reached only where an address or range names it.
 */
export interface EgressRule {
  readonly port: number | undefined;
  readonly kind: 'name' | 'range';
  /** A host name matches. */
  readonly matchesName: (host: string) => boolean;
  /** A resolved address is named by the rule itself. */
  readonly namesAddress: (address: string) => boolean;
}

const DEFAULT_PORTS: ReadonlySet<number> = new Set([80, 443]);

/** Throws a TypeError whose message names the rule and what is wrong with it. */
export function parseEgressRule(text: string): EgressRule {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/[\]\s]+)(\/\d{1,3})?(?::(\d{1,5}))?$/.exec(text);
  if (!match)
    throw new TypeError(
      `egress rule "${text}" is not host[:port], *.host[:port], an address or a CIDR range`,
    );
  const [, rawHost = '', prefix, portText] = match;
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535))
    throw new TypeError(`egress rule "${text}": port ${port} is not from 1 to 65535`);
  const host = rawHost.replace(/^\[|\]$/g, '').toLowerCase();
  const family = isIP(host);
  if (family !== 0)
    return {
      port,
      kind: 'range',
      matchesName: () => false,
      namesAddress: rangeOf(text, host, family, prefix),
    };
  if (prefix !== undefined)
    throw new TypeError(`egress rule "${text}": a range needs an address before the slash`);
  if (host === '*') return { port, kind: 'name', matchesName: () => true, namesAddress: () => false };
  const name = host.startsWith('*.') ? host.slice(2) : host;
  if (
    !/^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(
      name,
    )
  ) {
    throw new TypeError(`egress rule "${text}": "${name}" is no host name`);
  }
  const matchesName = host.startsWith('*.')
    ? (given: string): boolean => given.endsWith(`.${name}`)
    : (given: string): boolean => given === name;
  return { port, kind: 'name', matchesName, namesAddress: () => false };
}

function rangeOf(
  text: string,
  host: string,
  family: number,
  prefix: string | undefined,
): (address: string) => boolean {
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const bits = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix.slice(1));
  if (bits > (family === 4 ? 32 : 128))
    throw new TypeError(`egress rule "${text}": /${bits} is too long a prefix`);
  const range = new BlockList();
  range.addSubnet(host, bits, type);
  return (address) => isIP(address) === family && range.check(address, type);
}

/** What is wrong with a list of rules, one sentence each. */
export function egressProblems(rules: readonly string[]): string[] {
  return rules.flatMap((rule) => {
    try {
      parseEgressRule(rule);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  });
}

export interface EgressPolicy {
  /** Whether any address of this host could be allowed, before it is looked up. `host` as the URL parser normalised it, without brackets. */
  allowsHost(host: string, port: number): boolean;
  /** Whether a connection to this address, which `host` was resolved to, is allowed. */
  allowsAddress(host: string, address: string, port: number): boolean;
}

/** A destination must pass every list: the operator's, the account's, the lambda's. No list at all, or an empty one, allows nothing. */
export function compileEgressPolicy(lists: readonly (readonly string[])[]): EgressPolicy {
  const compiled = lists.map((list) => list.map(parseEgressRule));
  const every = (passes: (rule: EgressRule) => boolean): boolean =>
    compiled.length > 0 && compiled.every((rules) => rules.some(passes));
  const portFits = (rule: EgressRule, port: number): boolean =>
    rule.port === undefined ? DEFAULT_PORTS.has(port) : rule.port === port;
  const addressFits = (rule: EgressRule, host: string, address: string): boolean =>
    rule.namesAddress(address) || (rule.matchesName(host) && isPublicAddress(address));
  return {
    // A name that only a range could allow must be looked up before that can be told.
    allowsHost: (host, port) =>
      isIP(host) === 0
        ? every((rule) => portFits(rule, port) && (rule.matchesName(host) || rule.kind === 'range'))
        : every((rule) => portFits(rule, port) && addressFits(rule, host, host)),
    allowsAddress: (host, address, port) =>
      every((rule) => portFits(rule, port) && addressFits(rule, host, address)),
  };
}
