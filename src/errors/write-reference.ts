/** Writes docs/errors.md from the table: `node src/errors/write-reference.ts`. */
import { writeFileSync } from 'node:fs';
import { errorsMarkdown } from './reference.ts';

const file = new URL('../../docs/errors.md', import.meta.url);
writeFileSync(file, errorsMarkdown());
process.stdout.write(`${file.pathname}\n`);
