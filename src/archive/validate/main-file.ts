/** Rule 1, first half: `lambda_main` stands at the root, once, in a language that runs. */
import type { ArchiveFiles } from '../intake.ts';
import { error, quote } from '../problem.ts';
import type { Problem } from '../../errors/problem.ts';

const MAIN = /^lambda_main\.(ts|js|mjs)$/;

export function findMain(files: ArchiveFiles): { main: string | undefined; problems: readonly Problem[] } {
  const paths = [...files.keys()];
  const mains = paths.filter((path) => MAIN.test(path));
  const [main, second] = mains;
  if (main !== undefined && second === undefined) return { main, problems: [] };
  if (main !== undefined)
    return {
      main: undefined,
      problems: [
        error(
          'main_twice',
          `the archive has ${mains.map((path) => quote(path)).join(' and ')}`,
          'Keep one of them.',
          {
            file: second,
          },
        ),
      ],
    };
  const close = paths.find(
    (path) => /(^|\/)lambda_main\.[a-z]+$/i.test(path) && !path.includes('node_modules/'),
  );
  const mend = 'Put lambda_main.ts, .js or .mjs at the root of the archive.';
  if (close === undefined)
    return { main: undefined, problems: [error('main_missing', 'the archive has no lambda_main', mend)] };
  const message = `the archive has ${quote(close)}, but no lambda_main.ts, .js or .mjs at its root`;
  return { main: undefined, problems: [error('main_missing', message, mend, { file: close })] };
}
