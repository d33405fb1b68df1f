/**
 * What an import means: files of the archive, and nothing else. Node's rules (exports, imports, main, index files,
 * extensions) come from enhanced-resolve, over a file system that is a map in memory.
 */
import { isBuiltin } from 'node:module';
import enhancedResolve, { type ResolveRequest, type Resolver } from 'enhanced-resolve';
import type { ArchiveFiles } from './intake.ts';
import { memoryFileSystem } from './memory-file-system.ts';
import { error, quote } from './problem.ts';
import { isVendored } from './source.ts';
import type { Problem } from '../errors/problem.ts';

export type ImportKind = 'import' | 'require';

export type Resolution =
  | { readonly kind: 'file'; readonly path: string; readonly sideEffects: boolean }
  /** `"browser": { "fs": false }` of a package: an empty module. */
  | { readonly kind: 'empty'; readonly path: string }
  | { readonly kind: 'launcher' }
  | { readonly kind: 'sdk'; readonly part: SdkPart }
  /** No way to name a file of the archive. */
  | { readonly kind: 'refused'; readonly problem: Problem }
  | { readonly kind: 'missing'; readonly problem: Problem };

export type SdkPart = 'lambda-tools' | 'lambda-tools/tasks';

/** The seed's spellings stand beside ours, so that ported code keeps its imports. */
const SDK_NAMES = ['lambda-tools', 'luna-lambda-tools', 'luna_lambda_tools'];

/** Which part of lambda-tools an import names; `testing` is only for a lambda's own tests; undefined for other modules. */
export function sdkPartOf(specifier: string): SdkPart | 'testing' | 'unknown' | undefined {
  const name = SDK_NAMES.find((item) => specifier === item || specifier.startsWith(`${item}/`));
  if (name === undefined) return undefined;
  const rest = specifier.slice(name.length + 1).replace(/\.(js|ts)$/, '');
  if (rest === '' || rest === 'index' || rest === 'public') return 'lambda-tools';
  if (rest === 'tasks' || rest === 'public/tasks') return 'lambda-tools/tasks';
  return rest === 'testing' ? 'testing' : 'unknown';
}

/**
 * Packages choose by the first of THEIR keys that is here, so this list is a set, not an order. What runs in an isolate
 * has no DOM and no Node: `workerd` and `worker` builds need neither, `browser` ones need no Node. `node` is left out on
 * purpose, `default` is always tried, and `production` takes the quiet build of the packages that have two.
 */
const CONDITIONS = ['isolambda', 'workerd', 'worker', 'browser', 'module', 'production'];

/** As browsers' bundlers do: a `browser` build first, for it needs no Node; ES modules before CommonJS where they are imported. */
const MAIN_FIELDS: Readonly<Record<ImportKind, string[]>> = {
  import: ['browser', 'module', 'main'],
  require: ['browser', 'main', 'module'],
};
const OWN_EXTENSIONS = ['.ts', '.tsx', '.mts', '.cts', '.js', '.jsx', '.mjs', '.cjs', '.json'];
const VENDORED_EXTENSIONS = ['.js', '.mjs', '.cjs', '.json', '.ts', '.mts', '.cts', '.tsx', '.jsx'];
/** TypeScript's own habit: `./x.js` is written where `./x.ts` stands. */
const EXTENSION_ALIAS = {
  '.js': ['.ts', '.tsx', '.js', '.jsx'],
  '.jsx': ['.tsx', '.jsx'],
  '.mjs': ['.mts', '.mjs'],
  '.cjs': ['.cts', '.cjs'],
};

export interface ArchiveResolver {
  /** `importer` is a path of the archive. */
  resolve(specifier: string, importer: string, kind: ImportKind): Resolution;
}

export function createResolver(files: ArchiveFiles): ArchiveResolver {
  const fileSystem = memoryFileSystem(files);
  const make = (kind: ImportKind, vendored: boolean): Resolver =>
    enhancedResolve.ResolverFactory.createResolver({
      fileSystem,
      useSyncFileSystemCalls: true,
      symlinks: false,
      pnpApi: null,
      conditionNames: [...CONDITIONS, kind],
      mainFields: MAIN_FIELDS[kind],
      aliasFields: ['browser'],
      // A vendored package never finds the tenant's files by a bare name; the tenant's own code does, after packages.
      modules: vendored ? ['node_modules'] : ['node_modules', '/'],
      extensions: vendored ? VENDORED_EXTENSIONS : OWN_EXTENSIONS,
      ...(vendored ? {} : { extensionAlias: EXTENSION_ALIAS }),
      roots: [],
    });
  const resolvers = new Map<string, Resolver>();
  const resolverFor = (kind: ImportKind, vendored: boolean): Resolver => {
    const key = `${kind} ${vendored}`;
    const found = resolvers.get(key) ?? make(kind, vendored);
    resolvers.set(key, found);
    return found;
  };
  return {
    resolve(specifier, importer, kind) {
      const refused = refuse(specifier, importer);
      if (refused) return refused;
      const part = sdkPartOf(specifier);
      if (part === 'lambda-tools' || part === 'lambda-tools/tasks') return { kind: 'sdk', part };
      // A module that serves itself calls `launch`; where it is served, that does nothing.
      if (specifier === 'isolambda') return { kind: 'launcher' };
      const folder = importer.includes('/') ? `/${importer.slice(0, importer.lastIndexOf('/'))}` : '/';
      const found = lookUp(resolverFor(kind, isVendored(importer)), folder, specifier);
      if (found === false) return { kind: 'empty', path: specifier };
      if (found) return found;
      return { kind: 'missing', problem: missing(specifier, importer, files) };
    },
  };
}

function lookUp(resolver: Resolver, folder: string, specifier: string): Resolution | false | undefined {
  let request: ResolveRequest | undefined;
  let path: string | false | undefined;
  try {
    // With synchronous file system calls, the callback has run when this returns.
    resolver.resolve({}, folder, specifier, {}, (failed, found, more) => {
      path = failed ? undefined : found;
      request = more;
    });
  } catch {
    return undefined;
  }
  if (path === false) return false;
  if (typeof path !== 'string' || !path.startsWith('/')) return undefined;
  const description = request?.descriptionFileData;
  const sideEffects = !(
    typeof description === 'object' &&
    description !== null &&
    'sideEffects' in description &&
    description.sideEffects === false
  );
  return { kind: 'file', path: path.slice(1).replaceAll('\0', ''), sideEffects };
}

/** What is no way to name a file of the archive. */
function refuse(specifier: string, importer: string): Resolution | undefined {
  const no = (rule: string, message: string, mend: string): Resolution => ({
    kind: 'refused',
    problem: error(rule, message, mend, { file: importer }),
  });
  const part = sdkPartOf(specifier);
  if (part === 'testing')
    return no(
      'testing_import',
      `${quote(specifier)} is for the tests of a lambda, which run outside the host`,
      'Import it in test files only, which lambda_main does not import.',
    );
  if (part === 'unknown')
    return no(
      'sdk_module',
      `there is no module ${quote(specifier)}`,
      'Import from "lambda-tools" or "lambda-tools/tasks".',
    );
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(specifier) && !specifier.startsWith('node:'))
    return no(
      'import_url',
      `${quote(specifier)} is a URL or a drive: a lambda is built from its archive alone`,
      'Put the file into the archive, and import it by its path.',
    );
  if (specifier.startsWith('/') || specifier.includes('\\') || specifier.includes('\0'))
    return no(
      'import_absolute',
      `${quote(specifier)} is no path inside the archive`,
      'Import relative to the file ("./name"), or from the root of the archive ("folder/name").',
    );
  return undefined;
}

function missing(specifier: string, importer: string, files: ArchiveFiles): Problem {
  const place = { file: importer };
  if (isBuiltin(specifier) || specifier.startsWith('node:'))
    return error(
      'node_builtin',
      `${quote(importer)} imports ${quote(specifier)}, a module of Node.js: isolates have none`,
      isVendored(importer)
        ? `The package ${quote(packageOf(importer))} needs Node.js: use another, or a build of it for browsers or workers.`
        : 'Use the Web APIs instead (fetch, crypto, URL, TextEncoder), or a pure-JavaScript package.',
      place,
    );
  if (specifier.startsWith('.'))
    return error(
      'import_missing',
      `${quote(importer)} imports ${quote(specifier)}, which is not in the archive`,
      'Add the file, or mend the path; names are case-sensitive.',
      place,
    );
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const there = [...files.keys()].some((path) => path.startsWith(`node_modules/${name}/`));
  return there
    ? error(
        'import_missing',
        `${quote(importer)} imports ${quote(specifier)}: the package ${quote(name)} is in node_modules, but has no such entry`,
        "See the package's exports, and whether it was packed whole.",
        place,
      )
    : error(
        'package_missing',
        `${quote(importer)} imports ${quote(specifier)}, but no such file or package is in the archive`,
        `Vendor it: npm install ${name}, and pack node_modules with the lambda.`,
        place,
      );
}

const packageOf = (path: string): string => {
  const inside = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length).split('/');
  return inside.slice(0, inside[0]?.startsWith('@') ? 2 : 1).join('/');
};
