import { existsSync, readFileSync } from 'node:fs';

/** The package's own description: two folders up in the source tree, three in what is published. */
const manifest = ['../../package.json', '../../../package.json']
  .map((up) => new URL(up, import.meta.url))
  .find((url) => existsSync(url));

/** The product's version, from package.json. */
export const VERSION: string = manifest
  ? (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
  : 'unknown';
