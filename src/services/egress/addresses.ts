import { BlockList, isIP } from 'node:net';

/**
 * Addresses that are nobody's public server: private, loopback, link-local (cloud metadata among them), shared,
 * documentation, multicast and reserved ranges, after the IANA special-purpose registries (RFC 6890 and its updates),
 * and the IPv6 forms that carry an IPv4 address inside.
 */
// A list for each family: in a common one, the IPv4-mapped range would match every IPv4 address.
const SPECIAL_V4 = new BlockList();
const SPECIAL_V6 = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  SPECIAL_V4.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  SPECIAL_V6.addSubnet(network, bits, 'ipv6');

/** Whether an address (as the resolver gave it) belongs to the public internet. Anything unreadable does not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return false;
  return family === 4 ? !SPECIAL_V4.check(address, 'ipv4') : !SPECIAL_V6.check(address, 'ipv6');
}
