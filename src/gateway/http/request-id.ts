import { randomUUID } from 'node:crypto';

const SANE = /^[\x21-\x7e]{1,128}$/;

/** The client's request id where it is printable and short, else a new one. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && SANE.test(given) ? given : randomUUID();
}
