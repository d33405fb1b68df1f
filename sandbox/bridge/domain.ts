import { domainToASCII } from 'node:url';

/** DNS allows 253 characters; what is longer by far is no name, and costs more than it may. */
const MAX_CHARS = 4_096;

/**
 * A host name outside ASCII as DNS has it, by the Unicode tables that Node's own URL uses (UTS #46, non-transitional); empty where it is no
 * valid name. For the guest's URL: tables of its own were a third of its script, and megabytes of heap in each isolate that used them.
 */
export function acceptDomain(domain: unknown): string {
  return typeof domain === 'string' && domain.length <= MAX_CHARS ? domainToASCII(domain) : '';
}
