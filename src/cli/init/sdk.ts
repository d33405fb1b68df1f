import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../config/version.ts';
import { CommandError } from '../command-error.ts';

/** Where this isolambda has `lambda-tools`: TypeScript in the source tree, JavaScript with declarations in what is published. */
const SDK = fileURLToPath(new URL('../../../sandbox/sdk/', import.meta.url));
/** Below a dotted folder, so that `pack` leaves it out; named by package.json, so that `npm install` keeps it. */
export const SDK_COPY = '.isolambda/lambda-tools';
const ENTRIES = {
  '.': 'index',
  './tasks': 'tasks',
  './public/tasks': 'tasks',
  './testing': 'testing',
} as const;

/**
 * Gives a lambda's folder the module that its code imports: for completion and checks in the editor, and for its
 * tests. It is a copy in the folder itself, and a link in `node_modules` like the one that npm makes for the
 * dependency `file:.isolambda/lambda-tools`: no registry is asked, `npm install` of other packages keeps it, and a
 * clone gets it back by `npm install`. Node does not strip types below `node_modules`; through the link it sees
 * the copy's real place, so that TypeScript works there too.
 */
export function installSdk(root: string): void {
  if (!existsSync(SDK)) throw new CommandError('failed', `this isolambda has no lambda-tools at ${SDK}`);
  const copy = join(root, SDK_COPY);
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of readdirSync(SDK, { recursive: true, encoding: 'utf8' }))
    if (/\.(ts|js)$/.test(name)) copyModule(join(SDK, name), join(copy, name));
  writeFileSync(join(copy, 'package.json'), `${JSON.stringify(sdkPackage(), null, 2)}\n`);
  link(root);
}

/**
 * TypeScript is marked as not to be checked: which libraries and rules the lambda's own tsconfig.json sets must not
 * matter for code that is not the lambda's. Its types are used all the same.
 */
function copyModule(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  const text = readFileSync(from, 'utf8');
  writeFileSync(to, /(?<!\.d)\.ts$/.test(from) ? `// @ts-nocheck\n${text}` : text);
}

function sdkPackage(): Record<string, unknown> {
  const exports = Object.entries(ENTRIES)
    .filter(([, entry]) => existsSync(join(SDK, `${entry}.ts`)) || existsSync(join(SDK, `${entry}.js`)))
    .map(([name, entry]) => {
      const source = existsSync(join(SDK, `${entry}.js`)) ? 'js' : 'ts';
      const types = source === 'js' ? `./${entry}.d.ts` : `./${entry}.ts`;
      return [name, { types, default: `./${entry}.${source}` }];
    });
  return {
    name: 'lambda-tools',
    version: VERSION,
    type: 'module',
    exports: Object.fromEntries(exports) as unknown,
  };
}

function link(root: string): void {
  const at = join(root, 'node_modules/lambda-tools');
  if (lstatSync(at, { throwIfNoEntry: false })) rmSync(at, { recursive: true });
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  // Windows lets anybody make a junction, but not a link; a junction needs the absolute path.
  if (process.platform === 'win32') symlinkSync(join(root, SDK_COPY), at, 'junction');
  else symlinkSync(`../${SDK_COPY}`, at);
}
