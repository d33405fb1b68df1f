import { hostOf } from './runtime.ts';

/**
 * Stands in tr46's place behind whatwg-url (see bundle.ts): tr46's tables are 220 KB of source and megabytes of heap once
 * evaluated. Nearly every host name is plain ASCII, for which "domain to ASCII" only lower-cases
 * (https://www.unicode.org/reports/tr46/#ToASCII: without STD3 rules each ASCII character is valid or mapped to
 * its lower case; whatwg-url then refuses its forbidden ones). The others are the host's to say.
 */
const ASCII = /^[\x00-\x7f]*$/;
/** A label in Punycode must decode to something valid, which only the tables can tell. */
const PUNYCODE = /(?:^|\.)xn--/i;
/**
 * What would end the host for a parser of whole URLs, which the host uses. Each is a forbidden code point, and stands in the
 * result where it stood in the name (https://url.spec.whatwg.org/#forbidden-domain-code-point): the name is invalid.
 */
const NOT_OF_A_HOST = /[\x00-\x20#%/:?@[\\\]\x7f]/;

/** What the URL parser asks of tr46; its options are always those of a URL that is not strict. */
export function toASCII(domain: string): string | null {
  if (ASCII.test(domain) && !PUNYCODE.test(domain)) return domain.toLowerCase();
  if (NOT_OF_A_HOST.test(domain)) return null;
  const ascii = hostOf().domainToASCII(domain);
  return ascii === '' ? null : ascii;
}
