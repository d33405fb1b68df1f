/**
 * Stands between whatwg-url and tr46 (see bundle.ts). tr46's tables are 200 KB of source and megabytes of heap once
 * evaluated, and nearly every host name is plain ASCII, for which "domain to ASCII" only lower-cases
 * (https://www.unicode.org/reports/tr46/#ToASCII: without STD3 rules each ASCII character is valid or mapped to
 * its lower case; whatwg-url then refuses its forbidden ones). So the tables wait for a host that needs them.
 */

declare const require: (id: string) => unknown;

interface Tr46 {
  toASCII(domain: string, options: Record<string, boolean>): string | null;
  toUnicode(domain: string, options: Record<string, boolean>): { domain: string; error: boolean };
}

function tables(): Tr46 {
  return require('tr46') as Tr46;
}

const ASCII = /^[\x00-\x7f]*$/;
/** A label in Punycode must decode to something valid, which only the tables can tell. */
const PUNYCODE = /(?:^|\.)xn--/i;

export function toASCII(domain: string, options: Record<string, boolean>): string | null {
  const strict = options['useSTD3ASCIIRules'] || options['verifyDNSLength'] || options['checkHyphens'];
  if (!strict && ASCII.test(domain) && !PUNYCODE.test(domain)) return domain.toLowerCase();
  return tables().toASCII(domain, options);
}

export function toUnicode(
  domain: string,
  options: Record<string, boolean>,
): { domain: string; error: boolean } {
  return tables().toUnicode(domain, options);
}
