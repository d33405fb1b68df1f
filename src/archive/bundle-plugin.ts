/** Answers every question of esbuild about files: it never looks at a disk by itself. */
import type { Loader, OnLoadResult, OnResolveArgs, OnResolveResult, Plugin } from 'esbuild';
import { disarmComputedImports } from './computed-imports.ts';
import type { ArchiveFiles } from './intake.ts';
import { error, quote } from './problem.ts';
import type { ArchiveResolver } from './resolve.ts';
import { decodeSource, isTooDeep, isVendored, languageOf, loaderOf, tooDeep } from './source.ts';
import type { Problem } from '../errors/problem.ts';

/** Namespace of the tenant's files. */
export const ARCHIVE = 'archive';
const SDK = 'sdk';
const EMPTY = 'empty';
const LAUNCHER = 'launcher';
const ENTRY = 'entry';

export interface ArchivePlugin {
  readonly plugin: Plugin;
  /** What was wrong with files and imports, besides what esbuild tells. */
  problems(): readonly Problem[];
  /** Why esbuild could not resolve an import, if the plugin knows. */
  reasonFor(importer: string, specifier: string): Problem | undefined;
}

export function archivePlugin(
  files: ArchiveFiles,
  resolver: ArchiveResolver,
  entry: string,
  entrySource: string,
): ArchivePlugin {
  const problems: Problem[] = [];
  const reasons = new Map<string, Problem>();
  const failed = (found: readonly Problem[]): OnLoadResult => {
    problems.push(...found);
    // The problem is told with its place; esbuild goes on, to find more.
    return { contents: '', loader: 'js' };
  };
  const load = (path: string, type: string | undefined): OnLoadResult => {
    const bytes = files.get(path);
    const loader = loaderOf(path, type);
    if (!bytes)
      return failed([
        error('import_missing', `${quote(path)} is not in the archive`, 'Add it.', { file: path }),
      ]);
    if (!loader)
      return failed([
        error(
          'import_type',
          `${quote(path)} is imported, but is neither code, JSON nor text`,
          'Import it as bytes: import file from "./name" with { type: "bytes" }.',
          { file: path },
        ),
      ]);
    if (loader === 'binary') return { contents: bytes, loader };
    const source = decodeSource(path, bytes);
    if (typeof source !== 'string') return failed([source]);
    return loader === 'text' ? { contents: source, loader } : loadCode(path, source, loader);
  };
  const loadCode = (path: string, source: string, loader: Loader): OnLoadResult => {
    if (isTooDeep(source)) return failed([tooDeep(path)]);
    const language = languageOf(path);
    if (!language || loader === 'json') return { contents: source, loader };
    const disarmed = disarmComputedImports(path, source, language);
    if (disarmed.problems.length > 0) return failed(disarmed.problems);
    // A hashbang would stand before the wrapper. Same length, so that columns stay.
    return { contents: disarmed.source.replace(/^#!/, '//'), loader };
  };

  const resolve = (args: OnResolveArgs): OnResolveResult | undefined => {
    if (args.kind === 'entry-point') return { path: entry, namespace: ENTRY };
    if (args.namespace === ENTRY) return { path: args.path.slice(ARCHIVE.length + 1), namespace: ARCHIVE };
    if (args.namespace !== ARCHIVE)
      return { errors: [{ text: `nothing may be imported by ${args.namespace}` }] };
    const kind = args.kind === 'require-call' || args.kind === 'require-resolve' ? 'require' : 'import';
    const found = resolver.resolve(args.path, args.importer, kind);
    switch (found.kind) {
      case 'file':
        return {
          path: found.path,
          namespace: ARCHIVE,
          sideEffects: found.sideEffects,
        };
      case 'empty':
        return { path: found.path, namespace: EMPTY };
      case 'sdk':
        return { path: found.part, namespace: SDK };
      case 'launcher':
        return { path: 'isolambda', namespace: LAUNCHER };
      case 'refused':
        return { errors: [{ text: found.problem.message, detail: found.problem }] };
      case 'missing':
        // Left unanswered: esbuild itself knows whether the call stands in a try block, which makes it no error. It
        // searches no disk, because files of a namespace of ours have no folder.
        reasons.set(keyOf(args.importer, args.path), found.problem);
        return undefined;
    }
  };

  const plugin: Plugin = {
    name: 'archive',
    setup(build) {
      build.onResolve({ filter: /.*/ }, resolve);
      build.onLoad({ filter: /.*/, namespace: ENTRY }, () => ({ contents: entrySource, loader: 'js' }));
      build.onLoad({ filter: /.*/, namespace: SDK }, ({ path }) => ({
        contents: `module.exports = __isolambda[${JSON.stringify(path)}];`,
        loader: 'js',
      }));
      build.onLoad({ filter: /.*/, namespace: LAUNCHER }, () => ({
        contents: 'export const launch = () => undefined;',
        loader: 'js',
      }));
      build.onLoad({ filter: /.*/, namespace: EMPTY }, () => ({ contents: '', loader: 'js' }));
      build.onLoad({ filter: /.*/, namespace: ARCHIVE }, ({ path, with: attributes }) =>
        load(path, attributes.type),
      );
      // Anything else would be a file of the machine: it is never read.
      build.onLoad({ filter: /.*/ }, ({ path }) => ({ errors: [{ text: `${path} is not in the archive` }] }));
    },
  };
  return {
    plugin,
    problems: () => problems,
    reasonFor: (importer, specifier) => reasons.get(keyOf(importer, specifier)),
  };
}

const keyOf = (importer: string, specifier: string): string => `${importer}\n${specifier}`;

/** Warnings inside packages are their authors' matter. */
export const isTenants = (file: string | undefined): boolean => file === undefined || !isVendored(file);
