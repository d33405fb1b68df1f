import { BlockList, isIP } from 'node:net';
import type { Config } from '../../config/config.ts';
import { IsolambdaError } from '../../errors/error.ts';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whoever reaches a trusted-header host is believed to be any account: it may listen only where that was said to be safe. */
export function assertMayTrustHeader({
  authMode,
  authAllow,
  host,
}: Pick<Config, 'authMode' | 'authAllow' | 'host'>): void {
  if (authMode !== 'trusted-header' || authAllow.includes(host) || host === 'localhost') return;
  const family = isIP(host);
  if (family !== 0 && LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6')) return;
  throw new IsolambdaError(
    'configuration',
    `auth.mode trusted-header may not listen on ${host}: listen on 127.0.0.1, or name the address in auth.allow`,
  );
}
