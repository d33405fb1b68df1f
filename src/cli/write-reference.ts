/** Writes the generated tables into docs/operators.md: `node src/cli/write-reference.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { withReference } from './reference.ts';

const page = new URL('../../docs/operators.md', import.meta.url);
writeFileSync(page, withReference(readFileSync(page, 'utf8')));
