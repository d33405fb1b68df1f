import { readFileSync } from 'node:fs';

/** The product's version, from package.json: two folders up in the source tree, three in what is published. */
export function productVersion(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'));
      if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version);
    } catch {
      // Not there: look one further up.
    }
  }
  return 'unknown';
}
